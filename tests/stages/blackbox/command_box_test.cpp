// f as a program: pipes, HDF5 files, and every way in which a program can fail.
#include "stages/blackbox/command_box.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "tests/support/black_box.hpp"
#include "tests/support/temp_dir.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;
using namespace testing_support;

torch::Tensor greys(const std::vector<int64_t>& values) {
  return torch::tensor(values, torch::kUInt8).view({-1, 1, 1, 1}).repeat({1, 1, 4, 4});
}

double brightness(double grey) { return 1 / (1 + std::exp(-(grey - 128) / 16)); }

// A program in sh that has greeted, and does `then` once for each question.
std::string in_shell(const std::string& then) {
  return "#!/bin/sh\nread greeting\necho '{\"stylescope\":1}'\nwhile read question; do\n" + then +
         "\ndone\n";
}
// Takes one image of 16 bytes and gives (0, 1).
constexpr const char* kTakeOne = "head -c 16 >/dev/null";
constexpr const char* kGiveOne =
    "printf '{\"scores\":[1,2],\"dtype\":\"float32\"}\\n\\000\\000\\000\\000\\000\\000\\200\\077'";

class CommandBoxTest : public testing::Test {
 protected:
  std::unique_ptr<BlackBox> box(const std::vector<std::string>& words,
                                const std::function<void(BlackBoxDescription&)>& change = {}) {
    auto d = command_description(words, dir.path());
    if (change) change(d);
    return make_command_box(d, self, torch::kCPU);
  }
  std::unique_ptr<BlackBox> script(const std::string& text,
                                   const std::function<void(BlackBoxDescription&)>& change = {}) {
    return box({write_program(dir / "f.sh", text)}, change);
  }
  // The sentence with which it fails when it is asked about one image.
  static std::string complaint(BlackBox& f) {
    try {
      f.scores(greys({7}));
    } catch (const Error& error) {
      return error.what();
    }
    return "no Error was thrown";
  }
  std::string complaint(const std::string& text,
                        const std::function<void(BlackBoxDescription&)>& change = {}) {
    return complaint(*script(text, change));
  }

  TempDir dir;
  SelfCommunicator self;
};

TEST_F(CommandBoxTest, TheExampleInCppAnswersManyBatches) {
  const auto f = box({STYLESCOPE_BRIGHTNESS});
  for (int round = 0; round < 3; ++round) {
    const std::vector<int64_t> values{0, 100, 128, 140, 255};
    const auto scores = f->scores(greys(values), 2);
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(scores[static_cast<int64_t>(i)].item<double>(),
                  brightness(static_cast<double>(values[i])), 1e-7);
  }
  EXPECT_EQ(f->network(), nullptr);
  EXPECT_THAT(f->about(), HasSubstr("brightness_f"));
}

TEST_F(CommandBoxTest, TheExampleInPythonGivesTheSame) {
  if (std::system("command -v python3 >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "python3 is not installed: the example in Python is not tried";
  const auto script = fs::path(STYLESCOPE_EXAMPLES) / "brightness_f.py";
  const auto python = box({"python3", "-B", script.string()}), cpp = box({STYLESCOPE_BRIGHTNESS});
  const auto images = greys({3, 90, 127, 160});
  EXPECT_TRUE(torch::allclose(python->scores(images, 3), cpp->scores(images, 3), 0, 1e-7));
}

TEST_F(CommandBoxTest, ScikitLearnAnswers) {
  if (std::system("python3 -c 'import numpy, sklearn' >/dev/null 2>&1") != 0)
    GTEST_SKIP()
        << "python3 with numpy and scikit-learn is not installed: its example is not tried";
  const auto model = (dir / "model.pkl").string();
  const std::string fit =
      "import pickle, numpy; from sklearn.linear_model import LogisticRegression as L; "
      "x = numpy.repeat(numpy.linspace(0, 1, 20), 16).reshape(20, 16); "
      "pickle.dump(L().fit(x, x[:, 0] > 0.5), open('" +
      model + "', 'wb'))";
  ASSERT_EQ(std::system(("python3 -c \"" + fit + "\"").c_str()), 0);
  const auto f =
      box({"python3", "-B", std::string(STYLESCOPE_EXAMPLES) + "/sklearn_f.py", "answer", model});
  const auto scores = f->scores(greys({0, 127, 255}));
  EXPECT_LT(scores[0].item<double>(), 0.2);
  EXPECT_GT(scores[2].item<double>(), 0.8);
}

TEST_F(CommandBoxTest, ThroughHdf5Files) {
  const auto by_files = [](BlackBoxDescription& d) { d.transport = "hdf5"; };
  const auto f = box({STYLESCOPE_HDF5_ANSWERS}, by_files);
  const auto scores = f->scores(greys({0, 100, 140}), 2);
  EXPECT_NEAR(scores[1].item<double>(), brightness(100), 1e-7);
  EXPECT_NEAR(scores[2].item<double>(), brightness(140), 1e-7);
  EXPECT_THAT(complaint(*box({STYLESCOPE_HDF5_ANSWERS, "late-file"}, by_files)),
              HasSubstr("answered, but did not write "));
  EXPECT_THAT(complaint(*box({STYLESCOPE_HDF5_ANSWERS, "damaged"}, by_files)),
              AllOf(HasSubstr("f, the program "), HasSubstr("but its scores cannot be read: "),
                    HasSubstr("its last words: the disk is full")));
  EXPECT_THAT(complaint(*box({STYLESCOPE_HDF5_ANSWERS, "wrong-name"}, by_files)),
              AllOf(HasSubstr("data set 'scores' is missing"), HasSubstr("close the file")));
}

TEST_F(CommandBoxTest, LargeBatchesAndChattyProgramsFillNoPipe) {
  // 3 MB of images, and more on stderr than a pipe holds, before and after they are read.
  const std::string chat = "head -c 300000 /dev/zero | tr '\\0' 'x' >&2";
  const auto f = script(in_shell(chat + "\nhead -c 3000000 >/dev/null\n" + chat + "\n" + kGiveOne),
                        [](BlackBoxDescription& d) {
                          d.run_resolution = d.resolution = 1000, d.run_channels = d.channels = 3;
                        });
  EXPECT_EQ(f->scores(torch::zeros({1, 3, 1000, 1000}, torch::kUInt8))[0].item<double>(), 1);
}

TEST_F(CommandBoxTest, WhatCannotBeStartedIsNamed) {
  EXPECT_THAT(complaint(*box({"no-such-program-anywhere"})),
              AllOf(HasSubstr("no-such-program-anywhere: cannot be started"), HasSubstr("PATH")));
  std::ofstream(dir / "plain.txt") << "text\n";
  EXPECT_THAT(complaint(*box({(dir / "plain.txt").string()})),
              AllOf(HasSubstr("plain.txt: cannot be started"), HasSubstr("chmod +x")));
  EXPECT_THAT(complaint("no first line\n"), HasSubstr("begins with #!"));
  EXPECT_THAT(complaint(*box({"sh"}, [](auto& d) { d.folder = "/no/such/folder"; })),
              HasSubstr("/no/such/folder: is no folder"));
}

TEST_F(CommandBoxTest, HowItEndedAndItsLastWordsAreSaid) {
  EXPECT_THAT(
      complaint("#!/bin/sh\necho 'import error' >&2\nexit 3\n"),
      AllOf(HasSubstr("f.sh: ended with exit code 3"), HasSubstr("its last words: import error")));
  EXPECT_THAT(complaint("#!/bin/sh\nread greeting\necho '{\"stylescope\":1}'\n"),
              AllOf(HasSubstr("exit code 0"), HasSubstr("go on reading until")));
  EXPECT_THAT(complaint(in_shell("kill -SEGV $$")), HasSubstr("was ended by signal 11"));
  EXPECT_THAT(complaint(in_shell("kill -KILL $$")), HasSubstr("memory is short"));
  EXPECT_THAT(complaint(in_shell("exec >&-; exec sleep 20")),
              HasSubstr("closed its standard output"));
  EXPECT_THAT(
      complaint("#!/bin/sh\nread greeting\necho '{\"error\":\"no GPU here\"}'\nread forever\n"),
      HasSubstr("says: 'no GPU here'"));
}

TEST_F(CommandBoxTest, WhatDoesNotBelongOnItsStandardOutputIsShown) {
  EXPECT_THAT(complaint("#!/bin/sh\nread greeting\necho Loading model...\nread forever\n"),
              AllOf(HasSubstr("wrote 'Loading model...' to its standard output"),
                    HasSubstr("file=sys.stderr")));
  EXPECT_THAT(complaint("#!/bin/sh\nread greeting\necho '{\"hello\":1}'\nread forever\n"),
              HasSubstr("where {\"stylescope\":1} was expected"));
  EXPECT_THAT(complaint("#!/bin/sh\nread greeting\necho '{\"stylescope\":2}'\nread forever\n"),
              HasSubstr("speaks version 2"));
  EXPECT_THAT(complaint(in_shell(std::string(kTakeOne) + "\necho '{\"scores\":\"many\"}'")),
              HasSubstr("where {\"scores\":[images,classes]"));
  EXPECT_THAT(
      complaint(in_shell(std::string(kTakeOne) +
                         "\nprintf '{\"scores\":[1,2],\"dtype\":\"float32\"}\\n12345678Done!\\n'")),
      AllOf(HasSubstr("wrote 'Done!"), HasSubstr("after its answer")));
}

// What it says is shown as it came: it may be nested deeper than it can be printed again.
TEST_F(CommandBoxTest, NestingWithoutEndIsShownInPart) {
  const auto says = [&](const std::string& begin, const std::string& end) {
    const std::string depth = "head -c 30000 /dev/zero | tr '\\0' ";
    return complaint("#!/bin/sh\nread greeting\nprintf '" + begin + "'\n" + depth + "'['\n" +
                     depth + "']'\necho '" + end + "'\nread forever\n");
  };
  EXPECT_THAT(says("{\"hello\":", "}"), HasSubstr("answered '{\"hello\":[[["));
  EXPECT_THAT(says("{\"error\":", "}"), HasSubstr("says: '{\"error\":[[["));
}

TEST_F(CommandBoxTest, InheritsNoDescriptorsOfOurs) {
  const int ours = ::open("/dev/null", O_RDONLY);  // as a library opens it, without O_CLOEXEC
  ASSERT_GE(ours, 3);
  const auto f =
      script(in_shell(std::string("ls /proc/$$/fd > fds.txt\n") + kTakeOne + "\n" + kGiveOne));
  f->scores(greys({1}));
  ::close(ours);
  EXPECT_THAT("\n" + read_text(dir / "fds.txt"),
              testing::Not(HasSubstr("\n" + std::to_string(ours) + "\n")));
}

TEST_F(CommandBoxTest, WrongScoresAreAnErrorAtOnce) {
  const auto gives = [](const std::string& shape, const std::string& numbers) {
    return in_shell(std::string("echo asked >> asked.txt\n") + kTakeOne +
                    "\nprintf '{\"scores\":[" + shape + "],\"dtype\":\"float32\"}\\n" + numbers +
                    "'");
  };
  const std::string zero = "\\000\\000\\000\\000", one = "\\000\\000\\200\\077",
                    nan = "\\000\\000\\300\\177", two = "\\000\\000\\000\\100";
  EXPECT_THAT(complaint(gives("2,2", zero + one + zero + one)),
              HasSubstr("gives 2 x 2 scores for 1 images"));
  EXPECT_THAT(complaint(gives("1,3", zero + one + zero)),
              HasSubstr("1 x 3 scores for 1 images and 2 classes"));
  EXPECT_THAT(complaint(gives("1,2", zero + nan)), HasSubstr("no finite numbers"));
  EXPECT_THAT(complaint(gives("1,2", zero + two)), HasSubstr("gives 2, which is no probability"));
  EXPECT_EQ(read_text(dir / "asked.txt"), "asked\nasked\nasked\nasked\n") << "none is asked twice";
}

TEST_F(CommandBoxTest, ALateOneIsKilledWithAllThatItStarted) {
  const auto f =
      script(in_shell("sleep 30 & echo $! > sleeper.txt; wait"), [](auto& d) { d.timeout = 0.5; });
  EXPECT_THAT(complaint(*f), AllOf(HasSubstr("has not answered within 0.5 s (classifier.timeout)"),
                                   HasSubstr("flush")));
  const auto sleeper = std::stol(read_text(dir / "sleeper.txt"));
  const auto lives = [sleeper] {
    std::ifstream status("/proc/" + std::to_string(sleeper) + "/stat");
    std::string line;
    return std::getline(status, line) && line.find(") Z") == std::string::npos;
  };
  for (int i = 0; i < 200 && lives(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(lives());
}

// Dies at each second question.
TEST_F(CommandBoxTest, IsStartedAgainAndAskedTheSame) {
  const auto dies = in_shell(std::string(kTakeOne) + "\necho asked >> asked.txt\n" + kGiveOne +
                             "\nread question; echo 'out of luck' >&2; exit 9");
  const auto f = script(dies, [](auto& d) { d.restarts = 3; });
  for (int i = 0; i < 4; ++i) EXPECT_EQ(f->scores(greys({i}))[0].item<double>(), 1) << i;
  EXPECT_THAT(complaint(*f),
              AllOf(HasSubstr("ended with exit code 9"), HasSubstr("out of luck"),
                    HasSubstr("was started again 3 time(s) before (classifier.restarts)")));
  EXPECT_EQ(read_text(dir / "asked.txt"), "asked\nasked\nasked\nasked\n");
}

TEST_F(CommandBoxTest, WhatNeverWorkedIsNotStartedAgain) {
  complaint("#!/bin/sh\necho started >> started.txt\nexit 1\n");
  EXPECT_EQ(read_text(dir / "started.txt"), "started\n");
}

TEST_F(CommandBoxTest, DoesNotLearnThatThisIsARank) {
  ::setenv("OMPI_COMM_WORLD_RANK", "3", 1);
  ::setenv("PMIX_RANK", "3", 1);
  ::setenv("STYLESCOPE_TEST_OWN", "kept", 1);
  const auto f = script(in_shell(std::string("env > env.txt\n") + kTakeOne + "\n" + kGiveOne));
  f->scores(greys({1}));
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "STYLESCOPE_TEST_OWN"})
    ::unsetenv(name);
  EXPECT_THAT(read_text(dir / "env.txt"),
              AllOf(HasSubstr("STYLESCOPE_TEST_OWN=kept"), testing::Not(HasSubstr("OMPI_")),
                    testing::Not(HasSubstr("PMIX_"))));
}

TEST_F(CommandBoxTest, LeavesWhenItIsNotNeededAnyMore) {
  {
    const auto f =
        script(in_shell(std::string(kTakeOne) + "\n" + kGiveOne) + "echo over > over.txt\n");
    f->scores(greys({1}));
  }
  EXPECT_EQ(read_text(dir / "over.txt"), "over\n");
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no zombies";
}

}  // namespace
}  // namespace stylescope
