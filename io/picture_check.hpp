#pragma once

#include <string>
#include <string_view>

// Is a picture file whole? The decoders are no judge of that: a JPEG cut in half comes back filled
// up with grey. Walks the file's own structure (PNG chunks, JPEG markers, TIFF directory) without
// decoding.
namespace stylescope {

// Empty when the bytes are a whole PNG, JPEG or TIFF of a kind that stylescope reads; else what is
// wrong with them and what to do, as the end of the sentence "<file>: ...". What is animated, or
// has several pages (but for thumbnails, levels of a pyramid and masks), is no picture either.
std::string picture_problem(std::string_view bytes);

// The same for a JPEG stream, lossless ones included.
std::string jpeg_problem(std::string_view stream);

}  // namespace stylescope
