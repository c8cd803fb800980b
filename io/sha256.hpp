#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace stylescope {

// SHA-256 (FIPS 180-4), as 64 lower-case hex digits.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  Sha256& update(const void* data, size_t size);
  Sha256& update(std::string_view text) { return update(text.data(), text.size()); }
  std::string finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_of(std::string_view text);
std::string sha256_of_file(const std::filesystem::path& file);

}  // namespace stylescope
