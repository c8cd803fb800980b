#include "io/chunk_codec.hpp"

#include "tests/io/faults.hpp"
#include "tests/io/image_samples.hpp"

#include <cstring>

namespace stylescope {
namespace {

using testing_support::decoded_jpeg;
using testing_support::error_of;
using testing_support::sample_image;
using testing_support::sample_jpeg;

std::vector<int> ids_of(Storage storage) {
  std::vector<int> ids;
  for (const auto& filter : chunk_filters(storage, 1, 3, 16, 16)) ids.push_back(filter.id);
  return ids;
}

std::span<const uint8_t> span_of(const torch::Tensor& bytes) {
  return {bytes.data_ptr<uint8_t>(), bytes.nbytes()};
}

torch::Tensor decode(const EncodedImage& image, std::span<const uint8_t> bytes) {
  auto out = torch::full({3, 16, 16}, 77, torch::kUInt8);
  ChunkDecoder().decode(ids_of(image.storage), image.filter_mask, bytes, 3, 16, 16,
                        out.data_ptr<uint8_t>());
  return out;
}

TEST(ChunkCodec, GivesBackWhatWasEncoded) {
  const auto noise = torch::randint(256, {3, 16, 16}, torch::kUInt8);  // grows under any codec
  for (const auto& pixels : {sample_image(3, 3, 16), noise})
    for (const Storage storage : {Storage::none, Storage::lz4, Storage::zstd, Storage::jpeg}) {
      const auto image = encode_image(pixels, storage);
      EXPECT_TRUE(decode(image, span_of(image.bytes)).equal(pixels)) << to_string(storage);
    }
  // Views that are not contiguous are taken too.
  const auto turned = sample_image(3, 3, 16).transpose(1, 2);
  const auto image = encode_image(turned, Storage::lz4);
  EXPECT_TRUE(decode(image, span_of(image.bytes)).equal(turned));
}

TEST(ChunkCodec, MakesImagesSmaller) {
  const auto pixels = sample_image(0, 3, 16);
  EXPECT_EQ(encode_image(pixels, Storage::none).bytes.numel(), pixels.numel());
  EXPECT_LT(encode_image(pixels, Storage::lz4).bytes.numel(), pixels.numel() / 2);
  EXPECT_LT(encode_image(pixels, Storage::zstd).bytes.numel(), pixels.numel() / 2);
  const auto large = sample_image(0, 3, 64);
  EXPECT_LE(encode_image(large, Storage::zstd, 19).bytes.numel(),
            encode_image(large, Storage::zstd, -7).bytes.numel());
}

// As HDF5's description of filter 32004 has it: big-endian sizes.
TEST(ChunkCodec, FramesLz4AsHdf5Does) {
  const auto bytes = encode_image(sample_image(0, 3, 16), Storage::lz4).bytes;
  const auto* data = bytes.data_ptr<uint8_t>();
  const std::vector<uint8_t> head(data, data + 12);
  EXPECT_EQ(head, (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0}));
  EXPECT_EQ((int64_t{data[12]} << 24) + (data[13] << 16) + (data[14] << 8) + data[15],
            bytes.numel() - 16);
}

// Other writers cut an image into several blocks.
TEST(ChunkCodec, ReadsLz4OfSeveralBlocks) {
  const auto pixels = sample_image(0, 3, 16);
  std::vector<uint8_t> bytes{0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 44};  // 768 in blocks of 300
  const auto* from = pixels.data_ptr<uint8_t>();
  for (const int part : {300, 300, 168}) {
    bytes.insert(bytes.end(),
                 {0, 0, static_cast<uint8_t>(part / 256), static_cast<uint8_t>(part % 256)});
    bytes.insert(bytes.end(), from, from + part);  // as they are
    from += part;
  }
  EXPECT_TRUE(decode({.storage = Storage::lz4}, bytes).equal(pixels));
}

TEST(ChunkCodec, KeepsJpegAsItIs) {
  const std::string stream = sample_jpeg(5, 16);
  const auto image = keep_jpeg(stream);
  EXPECT_EQ(image.shape, (std::vector<int64_t>{3, 16, 16}));
  ASSERT_EQ(image.bytes.nbytes(), stream.size());
  EXPECT_EQ(std::memcmp(image.bytes.data_ptr(), stream.data(), stream.size()), 0);
  EXPECT_TRUE(decode(image, span_of(image.bytes)).equal(decoded_jpeg(stream, 16)));
  EXPECT_NE(error_of([] { keep_jpeg("no JPEG"); }).find("JPEG"), std::string::npos);
}

// Whatever is cut off or changed: an Error that says so, or, where the format has no checksum (LZ4,
// JPEG), other pixels; never a crash, never a byte outside of the image.
TEST(ChunkCodec, DamageIsFoundOrStaysInside) {
  for (const auto& image :
       {encode_image(sample_image(3, 3, 16), Storage::lz4),
        encode_image(sample_image(3, 3, 16), Storage::zstd), keep_jpeg(sample_jpeg(3, 16))}) {
    const auto bytes = span_of(image.bytes);
    for (size_t size = 0; size < bytes.size(); ++size) {
      const std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<int64_t>(size));
      // JPEG's last two bytes are an end marker, after all pixels.
      if (image.filter_mask != 0 && size + 2 >= bytes.size()) continue;
      EXPECT_NE(error_of([&] { decode(image, cut); }).find("data"), std::string::npos) << size;
    }
    for (size_t at = 0; at < bytes.size(); ++at)
      for (const uint8_t flip : {0x01, 0x80, 0xff}) {
        std::vector<uint8_t> changed(bytes.begin(), bytes.end());
        changed[at] ^= flip;
        try {
          const auto pixels = decode(image, changed);
          // Bits that mean nothing.
          if (image.storage == Storage::zstd)
            EXPECT_TRUE(pixels.equal(sample_image(3, 3, 16))) << at;
        } catch (const Error& error) {
          EXPECT_NE(std::string(error.what()).find("data"), std::string::npos) << error.what();
        }
      }
  }
  const auto raw = sample_image(3, 3, 16).view(-1);
  EXPECT_NE(error_of([&] {
              decode({.storage = Storage::none}, span_of(raw).first(700));
            }).find("700 bytes instead of 768"),
            std::string::npos);
}

TEST(ChunkCodec, ChecksumsTellChunksApart) {
  const auto pixels = sample_image(3, 3, 16);
  auto changed = pixels.clone();
  changed[2][15][15] += 1;
  auto swapped = pixels.clone();
  swapped[0][3] = pixels[0][4];
  swapped[0][4] = pixels[0][3];
  const auto sum = [](const torch::Tensor& image, Storage storage) {
    return encode_image(image, storage).checksum;
  };
  EXPECT_EQ(sum(pixels, Storage::none), sum(pixels.clone(), Storage::none));
  EXPECT_NE(sum(pixels, Storage::none), sum(changed, Storage::none));
  EXPECT_NE(sum(pixels, Storage::none), sum(swapped, Storage::none));
  EXPECT_NE(sum(pixels, Storage::zstd), sum(pixels, Storage::jpeg));  // other filters
}

}  // namespace
}  // namespace stylescope
