#include "io/sha256.hpp"

#include "io/base/error.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include <openssl/evp.h>

namespace stylescope {

struct Sha256::Context {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  Context() { SS_CHECK(digest && EVP_DigestInit_ex(digest, EVP_sha256(), nullptr) == 1); }
  ~Context() { EVP_MD_CTX_free(digest); }
};

Sha256::Sha256() : context_(new Context) {}
Sha256::~Sha256() = default;

Sha256& Sha256::update(const void* data, size_t size) {
  SS_CHECK(EVP_DigestUpdate(context_->digest, data, size) == 1);
  return *this;
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  SS_CHECK(EVP_DigestFinal_ex(context_->digest, bytes.data(), &size) == 1 && size == 32);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[bytes[i] >> 4];
    hex += "0123456789abcdef"[bytes[i] & 15];
  }
  return hex;
}

std::string sha256_of(std::string_view text) { return Sha256().update(text).finish(); }

std::string sha256_of_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  validate(in.good(), file.string(), ": cannot be read (", std::strerror(errno), ")");
  Sha256 hash;
  std::vector<char> block(1 << 20);
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0)
    hash.update(block.data(), static_cast<size_t>(in.gcount()));
  validate(in.eof() && !in.bad(), file.string(), ": cannot be read to its end; check the disk");
  return hash.finish();
}

}  // namespace stylescope
