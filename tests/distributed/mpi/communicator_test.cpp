// The contract of Communicator, for every backend, on every number of ranks it is registered with.
#include "distributed/communicator.hpp"

#include "io/base/error.hpp"
#include "tests/distributed/mpi/backends.hpp"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

const std::vector<torch::ScalarType> kDtypes{torch::kFloat64, torch::kFloat32, torch::kBFloat16,
                                             torch::kInt64,   torch::kInt32,   torch::kUInt8};
const std::vector<ReduceOp> kOps{ReduceOp::sum, ReduceOp::mean, ReduceOp::max, ReduceOp::min};

// What rank r contributes: small whole numbers, exact in every type.
torch::Tensor part_of(int64_t r, int64_t n, torch::ScalarType dtype) {
  return ((torch::arange(n, torch::kInt64) + 3 * r) % 7 + r + 1).to(dtype);
}

torch::Tensor all_parts(int64_t ranks, int64_t n, torch::ScalarType dtype) {
  std::vector<torch::Tensor> parts;
  for (int64_t r = 0; r < ranks; ++r) parts.push_back(part_of(r, n, dtype));
  return torch::stack(parts);
}

// What a reduction of all parts gives.
torch::Tensor reduced(int64_t ranks, int64_t n, torch::ScalarType dtype, ReduceOp op) {
  const auto parts = all_parts(ranks, n, torch::kFloat64);
  const auto sum = parts.sum(0);
  const auto value = op == ReduceOp::sum    ? sum
                     : op == ReduceOp::mean ? sum / static_cast<double>(ranks)
                     : op == ReduceOp::max  ? std::get<0>(parts.max(0))
                                            : std::get<0>(parts.min(0));
  return value.to(dtype);
}

bool defined(torch::ScalarType dtype, ReduceOp op) {
  if (op == ReduceOp::mean) return torch::isFloatingType(dtype);
  return op == ReduceOp::sum || dtype != torch::kBFloat16;
}

// Whole numbers come out exactly; a mean may be divided before or after it is added.
testing::AssertionResult matches(const torch::Tensor& found, const torch::Tensor& expected,
                                 ReduceOp op) {
  const auto host = found.cpu();
  const double bound = op != ReduceOp::mean                         ? 0
                       : expected.scalar_type() == torch::kBFloat16 ? 0.02
                       : expected.scalar_type() == torch::kFloat32  ? 1e-6
                                                                    : 1e-14;
  const auto off = (host.to(torch::kFloat64) - expected.to(torch::kFloat64)).abs();
  if (host.sizes() == expected.sizes() && host.scalar_type() == expected.scalar_type() &&
      (off <= bound * expected.to(torch::kFloat64).abs()).all().item<bool>())
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << name_of(op) << ": " << host << "\ninstead of\n" << expected;
}

class CommunicatorTest : public testing::TestWithParam<std::string> {
 protected:
  Communicator& world() { return backend().world(); }
  torch::Tensor place(const torch::Tensor& tensor) { return backend().place(tensor); }
  int64_t size() { return world().size(); }
  int64_t rank() { return world().rank(); }

 private:
  testing_support::Backend& backend() { return testing_support::backend(GetParam()); }
};

TEST_P(CommunicatorTest, SaysWhatItIs) {
  EXPECT_EQ(world().backend(), GetParam());
  EXPECT_LT(rank(), size());
  EXPECT_EQ(world().is_root(), rank() == 0);
}

TEST_P(CommunicatorTest, AllReduce) {
  constexpr int64_t n = 15;
  for (const auto dtype : kDtypes) {
    for (const auto op : kOps) {
      if (!defined(dtype, op)) continue;
      SCOPED_TRACE(torch::toString(dtype));
      const auto expected = reduced(size(), n, dtype, op).view({3, 5});
      const auto mine = part_of(rank(), n, dtype).view({3, 5});
      const auto in_place = place(mine);
      world().all_reduce(in_place, op);
      EXPECT_TRUE(matches(in_place, expected, op));
      const auto input = place(mine), output = place(torch::zeros_like(mine));
      world().all_reduce(output, input, op);
      EXPECT_TRUE(matches(output, expected, op));
      EXPECT_TRUE(torch::equal(input.cpu(), mine));
    }
  }
  EXPECT_EQ(world().all_reduce(2.5), 2.5 * static_cast<double>(size()));
  EXPECT_EQ(world().all_reduce(static_cast<double>(rank()), ReduceOp::max),
            static_cast<double>(size() - 1));
}

TEST_P(CommunicatorTest, Broadcast) {
  for (const auto dtype : kDtypes) {
    for (int root = 0; root < static_cast<int>(size()); ++root) {
      const auto tensor = place(part_of(rank(), 6, dtype));
      world().broadcast(tensor, root);
      EXPECT_TRUE(torch::equal(tensor.cpu(), part_of(root, 6, dtype)));
    }
  }
}

TEST_P(CommunicatorTest, AllGather) {
  constexpr int64_t n = 5;
  for (const auto dtype : kDtypes) {
    const auto expected = all_parts(size(), n, dtype);
    const auto output = place(torch::zeros_like(expected));
    world().all_gather(output, place(part_of(rank(), n, dtype)));
    EXPECT_TRUE(torch::equal(output.cpu(), expected));

    const auto whole = place(torch::zeros_like(expected));
    whole[rank()].copy_(part_of(rank(), n, dtype));
    world().all_gather(whole, whole[rank()]);
    EXPECT_TRUE(torch::equal(whole.cpu(), expected));
  }
}

TEST_P(CommunicatorTest, ReduceScatter) {
  constexpr int64_t n = 4;
  for (const auto dtype : kDtypes) {
    for (const auto op : kOps) {
      if (!defined(dtype, op)) continue;
      SCOPED_TRACE(torch::toString(dtype));
      const auto mine = part_of(rank(), n * size(), dtype);
      const auto expected =
          reduced(size(), n * size(), dtype, op).narrow(0, n * rank(), n).contiguous();
      const auto input = place(mine), output = place(torch::zeros({n}, dtype));
      world().reduce_scatter(output, input, op);
      EXPECT_TRUE(matches(output, expected, op));
      EXPECT_TRUE(torch::equal(input.cpu(), mine));

      const auto whole = place(mine);
      const auto part = whole.narrow(0, n * rank(), n);
      world().reduce_scatter(part, whole, op);
      EXPECT_TRUE(matches(part, expected, op));
    }
  }
}

TEST_P(CommunicatorTest, SeveralUnderWay) {
  const auto a = place(torch::ones({1000})), b = place(part_of(rank(), 7, torch::kFloat64)),
             c = place(part_of(rank(), 3, torch::kInt64)),
             d = place(torch::zeros({size(), 3}, torch::kInt64)),
             e = place(part_of(rank(), 2 * size(), torch::kFloat32)), f = place(torch::zeros({2}));
  auto first = world().all_reduce_async(a);
  auto second = world().all_reduce_async(b, ReduceOp::max);
  auto third = world().broadcast_async(c, 0);
  auto fourth = world().all_gather_async(d, c);  // of what the one before brings
  auto fifth = world().reduce_scatter_async(f, e, ReduceOp::sum);
  auto sixth = world().all_reduce_async(a);  // again, on its own result
  second->wait();
  fifth->wait();
  sixth->wait();
  fourth->wait();
  third->wait();
  first->wait();
  first->wait();  // nothing more
  const double n = static_cast<double>(size());
  EXPECT_TRUE(torch::equal(a.cpu(), torch::full({1000}, n * n, torch::kFloat32)));
  EXPECT_TRUE(matches(b, reduced(size(), 7, torch::kFloat64, ReduceOp::max), ReduceOp::max));
  EXPECT_TRUE(torch::equal(c.cpu(), part_of(0, 3, torch::kInt64)));
  for (int64_t r = 0; r < size(); ++r)
    EXPECT_TRUE(torch::equal(d[r].cpu(), part_of(0, 3, torch::kInt64)));
  EXPECT_TRUE(torch::equal(
      f.cpu(),
      reduced(size(), 2 * size(), torch::kFloat32, ReduceOp::sum).narrow(0, 2 * rank(), 2)));
}

TEST_P(CommunicatorTest, DoneComesByItself) {
  const auto tensor = place(torch::ones({100}));
  auto work = world().all_reduce_async(tensor);
  while (!work->done()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  work->wait();
  EXPECT_TRUE(work->done());
  EXPECT_GE(work->seconds(), 0);
  EXPECT_EQ(tensor.sum().item<double>(), 100.0 * static_cast<double>(size()));
}

TEST_P(CommunicatorTest, TheDestructorWaits) {
  const auto tensor = place(torch::ones({100}));
  world().all_reduce_async(tensor).reset();
  EXPECT_EQ(tensor.sum().item<double>(), 100.0 * static_cast<double>(size()));
}

TEST_P(CommunicatorTest, EmptyAndSingle) {
  const auto nothing = place(torch::zeros({0, 3}));
  world().all_reduce(nothing);
  world().broadcast(nothing, 0);
  world().all_gather(place(torch::zeros({0})), nothing);
  world().reduce_scatter(place(torch::zeros({0})), nothing, ReduceOp::sum);
  world().all_reduce_async(nothing)->wait();

  const auto single = place(torch::tensor(static_cast<double>(rank() + 1), torch::kFloat64));
  world().all_reduce(single);
  EXPECT_EQ(single.dim(), 0);
  EXPECT_EQ(single.item<double>(), static_cast<double>(size() * (size() + 1) / 2));
  world().broadcast(single, 0);
}

TEST_P(CommunicatorTest, RefusesWhatIsNoOperation) {
  const auto square = place(torch::zeros({3, 3}));
  EXPECT_THROW(world().all_reduce(square.t()), std::logic_error);
  EXPECT_THROW(world().broadcast_async(square.t(), 0), std::logic_error);
  EXPECT_THROW(world().broadcast(square, static_cast<int>(size())), std::logic_error);
  EXPECT_THROW(world().broadcast(square, -1), std::logic_error);
  EXPECT_THROW(world().all_reduce(torch::Tensor()), std::logic_error);
  EXPECT_THROW(world().all_reduce(place(torch::zeros({3}, torch::kInt64)), ReduceOp::mean),
               std::logic_error);
  EXPECT_THROW(
      world().all_reduce(place(torch::zeros({4})), place(torch::zeros({3})), ReduceOp::sum),
      std::logic_error);
  EXPECT_THROW(world().all_gather(place(torch::zeros({size() + 1})), place(torch::zeros({1}))),
               std::logic_error);
  EXPECT_THROW(world().reduce_scatter(place(torch::zeros({2})), place(torch::zeros({size()})),
                                      ReduceOp::sum),
               std::logic_error);
  EXPECT_THROW(world().split(-1), std::logic_error);
}

TEST_P(CommunicatorTest, Split) {
  const int color = static_cast<int>(rank() % 2);
  const auto part = world().split(color);
  EXPECT_EQ(part->size(), static_cast<int>((size() + 1 - color) / 2));
  EXPECT_EQ(part->rank(), static_cast<int>(rank() / 2));
  EXPECT_STREQ(part->backend(), world().backend());
  const auto tensor = place(torch::full({3}, static_cast<double>(rank()), torch::kFloat64));
  part->all_reduce(tensor);
  double expected = 0;
  for (int64_t r = color; r < size(); r += 2) expected += static_cast<double>(r);
  EXPECT_TRUE(torch::equal(tensor.cpu(), torch::full({3}, expected, torch::kFloat64)));
  part->broadcast(tensor, 0);
  part->barrier();
}

TEST_P(CommunicatorTest, GathersShapesThatDiffer) {
  // Another number of rows on every rank, none on the first.
  const auto gathered =
      world().all_gather(place(torch::full({rank(), 2}, rank(), torch::kFloat64)));
  ASSERT_EQ(static_cast<int64_t>(gathered.size()), size());
  for (int64_t r = 0; r < size(); ++r)
    EXPECT_TRUE(torch::equal(gathered[static_cast<size_t>(r)].cpu(),
                             torch::full({r, 2}, r, torch::kFloat64)));
}

TEST_P(CommunicatorTest, Texts) {
  EXPECT_EQ(world().broadcast(world().is_root() ? "a word" : "", 0), "a word");
  EXPECT_EQ(world().broadcast("", 0), "");
  const auto texts = world().all_gather(std::string(static_cast<size_t>(rank()), 'x'));
  ASSERT_EQ(static_cast<int64_t>(texts.size()), size());
  for (size_t r = 0; r < texts.size(); ++r) EXPECT_EQ(texts[r], std::string(r, 'x'));
}

TEST_P(CommunicatorTest, LargeTensors) {
  constexpr int64_t n = 300'007;  // over a megabyte in every type
  const auto sum = place(part_of(rank(), n, torch::kFloat32));
  world().all_reduce(sum);
  EXPECT_TRUE(torch::equal(sum.cpu(), reduced(size(), n, torch::kFloat32, ReduceOp::sum)));
  const auto tensor = place(part_of(rank(), n, torch::kInt64));
  world().broadcast(tensor, static_cast<int>(size() - 1));
  EXPECT_TRUE(torch::equal(tensor.cpu(), part_of(size() - 1, n, torch::kInt64)));
  const auto gathered = place(torch::zeros({size(), n}));
  auto work = world().all_gather_async(gathered, place(part_of(rank(), n, torch::kFloat32)));
  work->wait();
  EXPECT_TRUE(torch::equal(gathered.cpu(), all_parts(size(), n, torch::kFloat32)));
  const auto mine = place(part_of(rank(), n * size(), torch::kFloat32));
  const auto part = place(torch::zeros({n}));
  world().reduce_scatter(part, mine, ReduceOp::sum);
  EXPECT_TRUE(torch::equal(
      part.cpu(),
      reduced(size(), n * size(), torch::kFloat32, ReduceOp::sum).narrow(0, n * rank(), n)));
}

TEST_P(CommunicatorTest, AllRanksGetTheSameBits) {
  torch::manual_seed(static_cast<uint64_t>(rank()));
  for (const int64_t n : {17, 100'001}) {
    const auto sum = place(torch::randn({n}));
    world().all_reduce(sum);
    for (const auto& other : world().all_gather(sum)) EXPECT_TRUE(torch::equal(other, sum));
  }
}

// The ranks of this test share a host, and so its clock.
int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

TEST_P(CommunicatorTest, NobodyLeavesABarrierAlone) {
  std::this_thread::sleep_for(std::chrono::milliseconds(10 * rank()));
  const int64_t entered = now();
  world().barrier();
  const int64_t left = now();
  for (const auto& other : world().all_gather(torch::full({1}, entered, torch::kInt64)))
    EXPECT_GE(left, other.item<int64_t>());
}

// What is thrown on every rank when one of them enters something else, on a part of the world of
// its own, which is of no use afterwards.
std::string disagreement_of(Communicator& world,
                            const std::function<void(Communicator&, bool odd)>& call) {
  const auto part = world.split(0);
  try {
    call(*part, part->rank() == 1);
  } catch (const Error& error) {
    return error.what();
  }
  return "no exception";
}

TEST_P(CommunicatorTest, FindsTheRankThatDisagrees) {
  if (size() == 1) GTEST_SKIP() << "one rank agrees with itself";
  const auto text = disagreement_of(world(), [this](Communicator& part, bool odd) {
    part.all_reduce(place(torch::zeros({odd ? 5 : 4})));
  });
  EXPECT_NE(text.find("rank 1"), std::string::npos) << text;
  EXPECT_NE(text.find("Float x 5"), std::string::npos) << text;

  const auto later = disagreement_of(world(), [this](Communicator& part, bool odd) {
    const auto tensor = place(torch::zeros({4}, odd ? torch::kFloat64 : torch::kFloat32));
    part.broadcast_async(tensor, 0)->wait();
  });
  EXPECT_NE(later.find("rank 1"), std::string::npos) << later;
  EXPECT_NE(later.find("Double x 4"), std::string::npos) << later;

  const auto operation = disagreement_of(world(), [this](Communicator& part, bool odd) {
    part.all_reduce(place(torch::zeros({4})), odd ? ReduceOp::max : ReduceOp::sum);
  });
  EXPECT_NE(operation.find("all_reduce max"), std::string::npos) << operation;
}

INSTANTIATE_TEST_SUITE_P(Backends, CommunicatorTest,
                         testing::ValuesIn(testing_support::backend_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace stylescope
