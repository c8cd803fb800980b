#include "pipeline/install_paths.hpp"

#include "tests/support/temp_dir.hpp"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

TEST(SitesFolder, IsTheUsersThenTheInstalledThenTheSourceTrees) {
  const testing_support::TempDir dir;
  const auto program = dir / "bin" / "stylescope";
  const fs::path source = sites_folder(program);
  EXPECT_TRUE(source.is_absolute());
  EXPECT_EQ(source.filename(), "sites");
  EXPECT_EQ(source.parent_path().filename(), "slurm");

  const auto installed = dir / "share" / "stylescope" / "sites";
  fs::create_directories(installed);
  EXPECT_EQ(sites_folder(program), installed);

  ASSERT_EQ(setenv("STYLESCOPE_SITES", "/site/profiles", 1), 0);
  EXPECT_EQ(sites_folder(program), "/site/profiles");
  ASSERT_EQ(setenv("STYLESCOPE_SITES", "", 1), 0);
  EXPECT_EQ(sites_folder(program), installed);
  ASSERT_EQ(unsetenv("STYLESCOPE_SITES"), 0);
}

TEST(SitesFolder, OfThisProgramIsThere) { EXPECT_TRUE(fs::is_directory(sites_folder())); }

}  // namespace
}  // namespace stylescope
