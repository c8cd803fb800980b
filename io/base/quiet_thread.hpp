#pragma once

#include <csignal>
#include <thread>
#include <utility>

namespace stylescope {

// A thread that no signal reaches: signals are for the threads that know what to do with them. It
// starts with the mask of the thread that makes it, which is put back.
template <class Work>
std::thread quiet_thread(Work&& work) {
  struct AllBlocked {
    AllBlocked() {
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    ~AllBlocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    AllBlocked(const AllBlocked&) = delete;
    AllBlocked& operator=(const AllBlocked&) = delete;
    sigset_t before;
  };
  const AllBlocked blocked;
  return std::thread(std::forward<Work>(work));
}

}  // namespace stylescope
