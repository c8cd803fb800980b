#include "io/chunk_codec.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <lz4.h>
#include <zstd.h>

namespace stylescope {
namespace {

using Bytes = std::span<const uint8_t>;

// Framing of HDF5's LZ4 filter (support.hdfgroup.org/services/filters/HDF5_LZ4.pdf), big-endian:
// 8 bytes decoded size, 4 bytes block size, then of each block 4 bytes length and that many bytes:
// LZ4, or as they are where LZ4 does not make them fewer.
constexpr size_t kLz4Header = 12, kLz4BlockHeader = 4;
constexpr size_t kLz4LargestBlock = size_t{1} << 30;

template <class Number>
void put_big_endian(uint8_t* to, Number value) {
  for (size_t i = 0; i < sizeof(Number); ++i)
    to[i] = static_cast<uint8_t>(value >> (8 * (sizeof(Number) - 1 - i)));
}
template <class Number>
Number get_big_endian(const uint8_t* from) {
  Number value = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) value = (value << 8) | from[i];
  return value;
}

Bytes bytes_of(const torch::Tensor& tensor) {
  return {static_cast<const uint8_t*>(tensor.data_ptr()), tensor.nbytes()};
}
torch::Tensor empty_bytes(size_t size) {
  return torch::empty({static_cast<int64_t>(size)}, torch::kUInt8);
}

torch::Tensor encode_lz4(Bytes bytes) {
  const size_t block = std::max<size_t>(1, std::min(bytes.size(), kLz4LargestBlock));
  const size_t blocks = (bytes.size() + block - 1) / block;
  auto out = empty_bytes(kLz4Header + bytes.size() + blocks * kLz4BlockHeader);
  auto* begin = static_cast<uint8_t*>(out.data_ptr());
  put_big_endian<uint64_t>(begin, bytes.size());
  put_big_endian<uint32_t>(begin + 8, static_cast<uint32_t>(block));
  uint8_t* to = begin + kLz4Header;
  for (size_t first = 0; first < bytes.size(); first += block) {
    const size_t size = std::min(block, bytes.size() - first);
    const auto* from = bytes.data() + first;
    // Less room than the block has: LZ4 gives 0 when it would not shrink.
    int packed = LZ4_compress_default(reinterpret_cast<const char*>(from),
                                      reinterpret_cast<char*>(to + kLz4BlockHeader),
                                      static_cast<int>(size), static_cast<int>(size) - 1);
    if (packed <= 0) {
      std::memcpy(to + kLz4BlockHeader, from, size);
      packed = static_cast<int>(size);
    }
    put_big_endian<uint32_t>(to, static_cast<uint32_t>(packed));
    to += kLz4BlockHeader + packed;
  }
  return out.narrow(0, 0, to - begin);
}

size_t lz4_size(Bytes bytes) {
  validate(bytes.size() >= kLz4Header, "the LZ4 data is damaged (no header)");
  return get_big_endian<uint64_t>(bytes.data());
}

void decode_lz4(Bytes bytes, std::span<uint8_t> out) {
  const size_t size = lz4_size(bytes), block = get_big_endian<uint32_t>(bytes.data() + 8);
  validate(size == out.size() && (block > 0 || size == 0) && block <= kLz4LargestBlock,
           "the LZ4 data is damaged (its header says ", size, " bytes in blocks of ", block,
           ", not ", out.size(), ")");
  size_t at = kLz4Header;
  for (size_t first = 0; first < size; first += block) {
    const size_t part = std::min(block, size - first);
    const bool headed = bytes.size() - at >= kLz4BlockHeader;
    const size_t packed = headed ? get_big_endian<uint32_t>(bytes.data() + at) : 0;
    at += kLz4BlockHeader;
    validate(headed && packed <= bytes.size() - at, "the LZ4 data is damaged (a block is cut off)");
    if (packed == part) {
      std::memcpy(out.data() + first, bytes.data() + at, part);
    } else {
      const int got = LZ4_decompress_safe(reinterpret_cast<const char*>(bytes.data() + at),
                                          reinterpret_cast<char*>(out.data() + first),
                                          static_cast<int>(packed), static_cast<int>(part));
      validate(got == static_cast<int>(part), "the LZ4 data is damaged (a block does not decode)");
    }
    at += packed;
  }
}

torch::Tensor encode_zstd(Bytes bytes, int level) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                     &ZSTD_freeCCtx);
  SS_CHECK(context, "no memory for zstd");
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  auto out = empty_bytes(ZSTD_compressBound(bytes.size()));
  const size_t size =
      ZSTD_compress2(context.get(), out.data_ptr(), out.nbytes(), bytes.data(), bytes.size());
  SS_CHECK(!ZSTD_isError(size), ZSTD_getErrorName(size));
  return out.narrow(0, 0, static_cast<int64_t>(size));
}

size_t zstd_size(Bytes bytes) {
  const auto size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  validate(size != ZSTD_CONTENTSIZE_ERROR && size != ZSTD_CONTENTSIZE_UNKNOWN,
           "the zstd data is damaged (no frame with a size)");
  return size;
}

void decode_zstd(ZSTD_DCtx* context, Bytes bytes, std::span<uint8_t> out) {
  const size_t size =
      ZSTD_decompressDCtx(context, out.data(), out.size(), bytes.data(), bytes.size());
  validate(!ZSTD_isError(size), "the zstd data is damaged (", ZSTD_getErrorName(size), ")");
  validate(size == out.size(), "the zstd data is damaged (", size, " bytes instead of ", out.size(),
           ")");
}

STYLESCOPE_SIMD void planes_from_pixels(const uint8_t* rgb, int64_t count, uint8_t* planes) {
  uint8_t* red = planes;
  uint8_t* green = planes + count;
  uint8_t* blue = planes + 2 * count;
  for (int64_t i = 0; i < count; ++i) {
    red[i] = rgb[3 * i];
    green[i] = rgb[3 * i + 1];
    blue[i] = rgb[3 * i + 2];
  }
}

// A sum over 64-bit words that depends on their order: four lanes of multiply and rotate. As fast
// as memory; against mix-ups, not against an adversary.
uint64_t checksum_of(Bytes bytes, uint32_t filter_mask) {
  constexpr uint64_t kFactor = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio, odd
  std::array<uint64_t, 4> lane{filter_mask, 1, 2, 3};
  const auto take = [&](size_t i, uint64_t word) {
    lane[i] = std::rotl((lane[i] ^ word) * kFactor, 31);
  };
  size_t at = 0;
  for (; at + 32 <= bytes.size(); at += 32) {
    std::array<uint64_t, 4> words;
    std::memcpy(words.data(), bytes.data() + at, 32);
    for (size_t i = 0; i < 4; ++i) take(i, words[i]);
  }
  for (; at < bytes.size(); ++at) take(at % 4, bytes[at] + 1);
  uint64_t sum = bytes.size();
  for (const uint64_t value : lane) sum = std::rotl((sum ^ value) * kFactor, 29);
  return sum;
}

}  // namespace

std::string to_string(Storage storage) {
  constexpr std::array names{"none", "lz4", "zstd", "jpeg"};
  return names.at(static_cast<size_t>(storage));
}

std::vector<ChunkFilter> chunk_filters(Storage storage, int level, int64_t channels, int64_t height,
                                       int64_t width) {
  const ChunkFilter zstd{kZstdFilter, {static_cast<unsigned>(level)}};
  switch (storage) {
    case Storage::none:
      return {};
    case Storage::lz4:
      return {{kLz4Filter, {0}}};
    case Storage::zstd:
      return {zstd};
    case Storage::jpeg:
      SS_CHECK(channels == 3, "JPEG chunks hold RGB, not ", channels, " channels");
      return {{kJpegFilter, {3, static_cast<unsigned>(height), static_cast<unsigned>(width)}},
              zstd};
  }
  SS_CHECK(false, "storage ", static_cast<int>(storage));
}

EncodedImage encode_image(const torch::Tensor& pixels, Storage storage, int level) {
  SS_CHECK(pixels.dim() == 3 && pixels.scalar_type() == torch::kUInt8, pixels.toString());
  EncodedImage image;
  image.storage = storage;
  image.shape = pixels.sizes().vec();
  image.bytes = pixels.cpu().contiguous().view(-1);
  if (storage == Storage::lz4) image.bytes = encode_filter(kLz4Filter, level, image.bytes);
  if (storage == Storage::zstd || storage == Storage::jpeg)
    image.bytes = encode_filter(kZstdFilter, level, image.bytes);
  if (storage == Storage::jpeg) image.filter_mask = 0b01;
  image.checksum = checksum_of(bytes_of(image.bytes), image.filter_mask);
  return image;
}

EncodedImage keep_jpeg(std::string_view file) {
  EncodedImage image;
  const JpegSize size = JpegDecoder::size_of(file);
  image.storage = Storage::jpeg;
  image.shape = {3, size.height, size.width};
  image.bytes = empty_bytes(file.size());
  std::memcpy(image.bytes.data_ptr(), file.data(), file.size());
  image.filter_mask = 0b10;
  image.checksum = checksum_of(bytes_of(image.bytes), image.filter_mask);
  return image;
}

struct ChunkDecoder::Impl {
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> zstd{nullptr, &ZSTD_freeDCtx};
  std::unique_ptr<JpegDecoder> jpeg;
  std::vector<uint8_t> interleaved;

  void decode_jpeg(Bytes bytes, int64_t height, int64_t width, uint8_t* out) {
    if (!jpeg) jpeg = std::make_unique<JpegDecoder>();
    interleaved.resize(static_cast<size_t>(3 * height * width));
    jpeg->decode({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, {},
                 JpegColor::as_marked, 1, width, height, interleaved.data(), 3 * width);
    planes_from_pixels(interleaved.data(), height * width, out);
  }
};

ChunkDecoder::ChunkDecoder() : impl_(std::make_unique<Impl>()) {}
ChunkDecoder::~ChunkDecoder() = default;

bool ChunkDecoder::knows(const std::vector<int>& filters) {
  return filters.empty() || filters == std::vector{kLz4Filter} ||
         filters == std::vector{kZstdFilter} || filters == std::vector{kJpegFilter, kZstdFilter};
}

void ChunkDecoder::decode(const std::vector<int>& filters, uint32_t filter_mask, Bytes bytes,
                          int64_t channels, int64_t height, int64_t width, uint8_t* out) {
  const auto size = static_cast<size_t>(channels * height * width);
  int filter = 0;
  for (size_t i = 0; i < filters.size(); ++i) {
    if (filter_mask & (1U << i)) continue;
    validate(filter == 0, "the chunk is damaged (its filter mask ", filter_mask, ")");
    filter = filters[i];
  }
  if (filter == 0) {
    validate(bytes.size() == size, "the chunk is damaged (", bytes.size(), " bytes instead of ",
             size, ")");
    std::memcpy(out, bytes.data(), size);
  } else if (filter == kLz4Filter) {
    decode_lz4(bytes, {out, size});
  } else if (filter == kZstdFilter) {
    if (!impl_->zstd) impl_->zstd.reset(ZSTD_createDCtx());
    SS_CHECK(impl_->zstd, "no memory for zstd");
    decode_zstd(impl_->zstd.get(), bytes, {out, size});
  } else {
    validate(channels == 3, "the chunk is damaged (JPEG in ", channels, " channels)");
    impl_->decode_jpeg(bytes, height, width, out);
  }
}

torch::Tensor encode_filter(int filter, int level, const torch::Tensor& bytes) {
  SS_CHECK(filter == kLz4Filter || filter == kZstdFilter, "filter ", filter);
  return filter == kLz4Filter ? encode_lz4(bytes_of(bytes)) : encode_zstd(bytes_of(bytes), level);
}

torch::Tensor decode_filter(int filter, std::span<const unsigned> values,
                            const torch::Tensor& bytes) {
  const Bytes data = bytes_of(bytes);
  validate(filter != kJpegFilter || (values.size() >= 3 && values[0] == 3),
           "filter 305 has no size of its images");
  int64_t height = 1, width = 0;
  if (filter == kJpegFilter) {
    height = values[1];
    width = values[2];
  } else {
    const size_t size = filter == kLz4Filter ? lz4_size(data) : zstd_size(data);
    validate(size <= UINT32_MAX, "the data is damaged (it says that it has ", size,
             " bytes, more than any chunk)");
    width = static_cast<int64_t>(size);
  }
  const int64_t channels = filter == kJpegFilter ? 3 : 1;
  auto out = empty_bytes(static_cast<size_t>(channels * height * width));
  ChunkDecoder().decode({filter}, 0, data, channels, height, width,
                        static_cast<uint8_t*>(out.data_ptr()));
  return out;
}

}  // namespace stylescope
