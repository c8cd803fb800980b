#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

struct tiff;  // libtiff's TIFF

// A TIFF opened by libtiff, closed on every way out. libtiff's words are kept for our errors
// instead of going to stderr.
namespace stylescope {

class TiffFile {
 public:
  // mode: libtiff's ("r", "w", "w8" for BigTIFF, ...). Throws Error.
  TiffFile(const std::filesystem::path& file, const char* mode);
  ~TiffFile();
  TiffFile(const TiffFile&) = delete;
  TiffFile& operator=(const TiffFile&) = delete;

  tiff* get() const { return handle_; }
  // The last words of libtiff, or "".
  const std::string& message() const { return message_; }
  // Throws Error "file: cannot <action> (libtiff's words)" unless `ok`.
  void check(bool ok, const char* action) const;

 private:
  static int on_error(tiff*, void* self, const char* module, const char* format,
                      __builtin_va_list arguments);
  static int on_warning(tiff*, void*, const char*, const char*, __builtin_va_list);

  std::filesystem::path file_;
  std::string message_;
  tiff* handle_ = nullptr;
};

// libtiff prints warnings to stderr, a dozen a slide, where others (OpenSlide) open a file by it:
// tells it, once for the process, not to. Errors stay.
void silence_tiff_warnings();

}  // namespace stylescope
