#include "io/hdf5_calls.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

// Why a driver of our own: HDF5 1.10 finds a chunk in its index in 0.3 us when it reads it,
// but H5Dget_chunk_info_by_coord walks the whole index (6 ms at chunk 50,000), and H5Dchunk_iter
// came later. A driver sees the address when H5Dread_chunk asks for the bytes.
namespace stylescope::hdf5 {
namespace {

struct ReadingFile {
  H5FD_t base{};  // HDF5's own part, first
  int descriptor = -1;
  haddr_t size = 0, allocated = 0;
  dev_t device = 0;
  ino_t inode = 0;
  RowPlace* listener = nullptr;
};

ReadingFile* of(H5FD_t* file) { return reinterpret_cast<ReadingFile*>(file); }
const ReadingFile* of(const H5FD_t* file) { return reinterpret_cast<const ReadingFile*>(file); }

herr_t failed(const char* what) {
  H5Epush2(H5E_DEFAULT, __FILE__, what, __LINE__, H5E_ERR_CLS, H5E_VFL, H5E_READERROR, "%s: %s",
           what, std::strerror(errno));
  return -1;
}

H5FD_t* open_file(const char* name, unsigned flags, hid_t, haddr_t) {
  if (flags & H5F_ACC_RDWR) {
    errno = EACCES;
    failed("this driver only reads");
    return nullptr;
  }
  const int descriptor = ::open(name, O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (descriptor < 0 || ::fstat(descriptor, &status) != 0) {
    failed("cannot open");
    if (descriptor >= 0) ::close(descriptor);
    return nullptr;
  }
  auto* file = new ReadingFile;
  file->descriptor = descriptor;
  file->size = static_cast<haddr_t>(status.st_size);
  file->device = status.st_dev;
  file->inode = status.st_ino;
  return &file->base;
}

herr_t close_file(H5FD_t* file) {
  const int closed = ::close(of(file)->descriptor);
  delete of(file);
  return closed;
}

int compare(const H5FD_t* a, const H5FD_t* b) {
  const auto key = [](const H5FD_t* file) { return std::pair(of(file)->device, of(file)->inode); };
  return key(a) < key(b) ? -1 : key(b) < key(a) ? 1 : 0;
}

herr_t query(const H5FD_t*, unsigned long* flags) {
  *flags = H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
  return 0;
}

haddr_t get_allocated(const H5FD_t* file, H5FD_mem_t) { return of(file)->allocated; }
herr_t set_allocated(H5FD_t* file, H5FD_mem_t, haddr_t end) {
  of(file)->allocated = end;
  return 0;
}
haddr_t get_size(const H5FD_t* file, H5FD_mem_t) { return of(file)->size; }

herr_t get_handle(H5FD_t* file, hid_t, void** handle) {
  *handle = &of(file)->listener;
  return 0;
}

herr_t read(H5FD_t* base, H5FD_mem_t type, hid_t, haddr_t at, size_t size, void* buffer) {
  ReadingFile* file = of(base);
  if (file->listener && type == H5FD_MEM_DRAW) {
    file->listener->address = static_cast<int64_t>(at);
    file->listener->bytes = static_cast<uint32_t>(size);
    return 0;
  }
  auto* to = static_cast<char*>(buffer);
  while (size > 0) {
    const ssize_t got = ::pread(file->descriptor, to, size, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("cannot read");
    if (got == 0) {  // beyond the end HDF5 expects zeros
      std::memset(to, 0, size);
      return 0;
    }
    to += got;
    at += static_cast<haddr_t>(got);
    size -= static_cast<size_t>(got);
  }
  return 0;
}

herr_t write(H5FD_t*, H5FD_mem_t, hid_t, haddr_t, size_t, const void*) {
  errno = EACCES;
  return failed("this driver only reads");
}

hid_t register_driver() {
  H5FD_class_t driver{};
#ifdef H5FD_CLASS_VERSION
  driver.version = H5FD_CLASS_VERSION;
  driver.value = static_cast<H5FD_class_value_t>(512);  // of the range for testing
#endif
  driver.name = "stylescope_reading";
  driver.maxaddr = static_cast<haddr_t>(INT64_MAX);
  driver.fc_degree = H5F_CLOSE_WEAK;
  driver.open = open_file;
  driver.close = close_file;
  driver.cmp = compare;
  driver.query = query;
  driver.get_eoa = get_allocated;
  driver.set_eoa = set_allocated;
  driver.get_eof = get_size;
  driver.get_handle = get_handle;
  driver.read = read;
  driver.write = write;
  std::ranges::fill(driver.fl_map, H5FD_MEM_DEFAULT);
  const hid_t id = H5FDregister(&driver);
  SS_CHECK(id >= 0, innermost_message());
  return id;
}

}  // namespace

hid_t reading_driver() {
  // Once, and for good: HDF5 1.10's H5FD_close still uses the class after it gave up its reference
  // to it, so a driver must outlive every file that was opened with it.
  static const hid_t id = register_driver();
  return id;
}

ReadListener::ReadListener(hid_t file) {
  void* slot = nullptr;
  SS_CHECK(H5Fget_vfd_handle(file, H5P_DEFAULT, &slot) >= 0, innermost_message());
  slot_ = static_cast<RowPlace**>(slot);
  *slot_ = &place_;
}

ReadListener::~ReadListener() { *slot_ = nullptr; }

}  // namespace stylescope::hdf5
