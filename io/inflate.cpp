#include "io/inflate.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <limits>
#include <zlib.h>

namespace stylescope {
namespace {

class Inflater {
 public:
  Inflater() { SS_CHECK(::inflateInit2(&stream, -MAX_WBITS) == Z_OK); }
  ~Inflater() { ::inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream stream{};
};

}  // namespace

std::string inflate_raw(std::string_view deflated, size_t most, const std::string& name) {
  validate(deflated.size() <= std::numeric_limits<uInt>::max(), name,
           ": holds more than 4 GiB of deflated data; store it uncompressed");
  Inflater inflater;
  z_stream& stream = inflater.stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(deflated.data()));
  stream.avail_in = static_cast<uInt>(deflated.size());
  std::string out;
  std::string piece(std::clamp<size_t>(deflated.size() * 4, 1 << 16, 1 << 24), '\0');
  for (int state = Z_OK; state != Z_STREAM_END;) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    state = ::inflate(&stream, Z_NO_FLUSH);
    validate(state == Z_OK || state == Z_STREAM_END, name, ": is ",
             state == Z_BUF_ERROR ? "cut off" : "damaged",
             " (within its deflated data); copy or export it again");
    out.append(piece, 0, piece.size() - stream.avail_out);
    validate(out.size() <= most, name, ": becomes more than ", most >> 20,
             " MiB when it is inflated; store a picture of a usual size");
  }
  return out;
}

}  // namespace stylescope
