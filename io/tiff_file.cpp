#include "io/tiff_file.hpp"

#include "io/base/error.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <tiffio.h>

namespace stylescope {

int TiffFile::on_error(tiff*, void* self, const char*, const char* format,
                       __builtin_va_list arguments) {
  const int code = errno;
  std::array<char, 512> text{};
  std::vsnprintf(text.data(), text.size(), format, arguments);
  std::string& message = static_cast<TiffFile*>(self)->message_;
  message = text.data();
  // libtiff passes a full disk over in silence.
  if (code == ENOSPC || code == EDQUOT || code == EIO)
    message += detail::concatenate(": ", std::strerror(code));
  return 1;
}

// Private tags of scanners and the like: nothing that a user could do about.
int TiffFile::on_warning(tiff*, void*, const char*, const char*, __builtin_va_list) { return 1; }

TiffFile::TiffFile(const std::filesystem::path& file, const char* mode) : file_(file) {
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                             TIFFOpenOptionsFree);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, this);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, this);
  errno = 0;
  handle_ = TIFFOpenExt(file.c_str(), mode, options.get());
  check(handle_ != nullptr, "be opened as TIFF");
}

TiffFile::~TiffFile() {
  if (handle_) TIFFClose(handle_);
}

void TiffFile::check(bool ok, const char* action) const {
  validate(ok, file_.string(), ": cannot ", action, " (",
           message_.empty() ? std::strerror(errno) : message_.c_str(), ")");
}

void silence_tiff_warnings() {
  static const TIFFErrorHandler before = TIFFSetWarningHandler(nullptr);
  static_cast<void>(before);
}

}  // namespace stylescope
