#include "distributed/mpi_session.hpp"
#include "io/base/error.hpp"

#include <chrono>
#include <limits>
#include <thread>

#include <mpi.h>

namespace stylescope {
namespace {

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(detail::concatenate(call, " failed: ", text));
}

MPI_Datatype type_of(const torch::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case torch::kFloat64:
      return MPI_DOUBLE;
    case torch::kFloat32:
      return MPI_FLOAT;
    case torch::kInt64:
      return MPI_INT64_T;
    case torch::kInt32:
      return MPI_INT32_T;
    case torch::kUInt8:
      return MPI_UINT8_T;
    default:
      SS_CHECK(false, "no MPI type for ", tensor.scalar_type());
  }
  return MPI_DATATYPE_NULL;
}

MPI_Op op_of(ReduceOp op) {
  return op == ReduceOp::sum ? MPI_SUM : op == ReduceOp::max ? MPI_MAX : MPI_MIN;
}

int count_of(const torch::Tensor& tensor) {
  SS_CHECK(tensor.is_contiguous() && tensor.numel() <= std::numeric_limits<int>::max(),
           tensor.sizes());
  return static_cast<int>(tensor.numel());
}

// MPI works on host memory: a tensor elsewhere goes through a copy.
torch::Tensor host(const torch::Tensor& tensor) {
  return tensor.device().is_cpu() ? tensor : tensor.to(torch::kCPU);
}

class MpiWork final : public Work {
 public:
  MpiWork(MPI_Request request, torch::Tensor staged, torch::Tensor target)
      : request_(request), staged_(std::move(staged)), target_(std::move(target)) {}
  ~MpiWork() override {
    if (request_ != MPI_REQUEST_NULL) MPI_Wait(&request_, MPI_STATUS_IGNORE);
  }
  void wait() override {
    check(MPI_Wait(&request_, MPI_STATUS_IGNORE), "MPI_Wait");
    if (!staged_.is_same(target_)) target_.copy_(staged_);
  }

 private:
  MPI_Request request_;
  torch::Tensor staged_, target_;
};

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator() {
    // A communicator of our own: no message of a library that also uses MPI can meet ours.
    check(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }
  ~MpiCommunicator() override { MPI_Comm_free(&comm_); }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  std::unique_ptr<Work> all_reduce_async(torch::Tensor tensor, ReduceOp op) override {
    auto staged = host(tensor);
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Iallreduce(MPI_IN_PLACE, staged.data_ptr(), count_of(staged), type_of(staged),
                         op_of(op), comm_, &request),
          "MPI_Iallreduce");
    return std::make_unique<MpiWork>(request, staged, tensor);
  }

  void broadcast(torch::Tensor tensor, int root) override {
    auto staged = host(tensor);
    check(MPI_Bcast(staged.data_ptr(), count_of(staged), type_of(staged), root, comm_),
          "MPI_Bcast");
    if (!staged.is_same(tensor)) tensor.copy_(staged);
  }

  std::vector<torch::Tensor> all_gather(const torch::Tensor& tensor) override {
    const auto mine = host(tensor).contiguous();
    auto shapes = torch::empty({size_, std::max<int64_t>(mine.dim(), 1)}, torch::kInt64);
    auto shape = torch::zeros({shapes.size(1)}, torch::kInt64);
    for (int64_t d = 0; d < mine.dim(); ++d) shape[d] = mine.size(d);
    check(MPI_Allgather(shape.data_ptr(), count_of(shape), MPI_INT64_T, shapes.data_ptr(),
                        count_of(shape), MPI_INT64_T, comm_),
          "MPI_Allgather");
    std::vector<torch::Tensor> gathered;
    std::vector<int> counts, offsets;
    int64_t total = 0;
    for (int r = 0; r < size_; ++r) {
      std::vector<int64_t> sizes(shapes[r].data_ptr<int64_t>(),
                                 shapes[r].data_ptr<int64_t>() + mine.dim());
      gathered.push_back(torch::empty(sizes, mine.options()));
      counts.push_back(count_of(gathered.back()));
      offsets.push_back(static_cast<int>(total));
      total += counts.back();
    }
    SS_CHECK(total <= std::numeric_limits<int>::max(), total, " elements in one all_gather");
    auto flat = torch::empty({total}, mine.options());
    check(MPI_Allgatherv(mine.data_ptr(), count_of(mine), type_of(mine), flat.data_ptr(),
                         counts.data(), offsets.data(), type_of(flat), comm_),
          "MPI_Allgatherv");
    for (int r = 0; r < size_; ++r) {
      const auto at = static_cast<size_t>(r);
      gathered[at].view(-1).copy_(flat.narrow(0, offsets[at], counts[at]));
      gathered[at] = gathered[at].to(tensor.device());
    }
    return gathered;
  }

  void barrier() override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ibarrier(comm_, &request), "MPI_Ibarrier");
    auto nap = std::chrono::microseconds(20);
    for (int done = 0;;) {
      check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (done) return;
      std::this_thread::sleep_for(nap);
      nap = std::min(nap * 2, std::chrono::microseconds(5000));
    }
  }

  [[noreturn]] void abort(int exit_code) override {
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    std::_Exit(exit_code);
  }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace

MpiSession::MpiSession(int* argc, char*** argv) {
  int provided = 0;
  check(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  world_ = std::make_unique<MpiCommunicator>();
}

MpiSession::~MpiSession() {
  world_.reset();
  MPI_Finalize();
}

Communicator& MpiSession::world() { return *world_; }

std::string MpiSession::library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string version(text, static_cast<size_t>(length));
  return version.substr(0, version.find(','));
}

}  // namespace stylescope
