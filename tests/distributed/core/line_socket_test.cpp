#include "distributed/line_socket.hpp"

#include <thread>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using std::chrono::milliseconds;
using Line = std::vector<std::string>;

struct Pair {
  LineSocket here, there;
};

Pair connected() {
  const auto listener = listen_anywhere();
  auto here = connect_to("127.0.0.1", listener.port, milliseconds(1000));
  EXPECT_TRUE(here.has_value());
  wait_readable({listener.descriptor.get()}, milliseconds(1000));
  auto there = accept_from(listener);
  EXPECT_TRUE(there.has_value());
  return {std::move(*here), std::move(*there)};
}

TEST(LineSocket, CarriesFieldsWithTabsAndLineEnds) {
  auto [here, there] = connected();
  const Line awkward{"a", "", "two\nlines\tand a tab", "back\\slash\\n"};
  EXPECT_TRUE(here.send(awkward));
  EXPECT_TRUE(here.send({"b"}));
  std::vector<Line> lines;
  while (lines.size() < 2) {
    wait_readable({there.fd()}, milliseconds(1000));
    for (auto& line : there.receive()) lines.push_back(line);
    ASSERT_TRUE(there.open());
  }
  EXPECT_EQ(lines, (std::vector<Line>{awkward, {"b"}}));
}

TEST(LineSocket, WhatWasSaidBeforeTheEndIsHeard) {
  auto [here, there] = connected();
  here.send({"last words"});
  here.close();
  wait_readable({there.fd()}, milliseconds(1000));
  EXPECT_EQ(there.receive(), (std::vector<Line>{{"last words"}}));
  EXPECT_FALSE(there.open());
  EXPECT_FALSE(here.send({"nobody hears this"}));
}

TEST(LineSocket, NobodyListens) {
  std::string port;
  {
    const auto listener = listen_anywhere();
    port = listener.port;
    EXPECT_FALSE(listener.addresses.empty());
  }
  EXPECT_FALSE(connect_to("127.0.0.1", port, milliseconds(500)).has_value());
  EXPECT_FALSE(connect_to("no address", "1", milliseconds(500)).has_value());
}

}  // namespace
}  // namespace stylescope
