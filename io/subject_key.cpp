#include "io/subject_key.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/private_file.hpp"

#include <array>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr size_t kLeastBytes = 16;
constexpr size_t kPseudonymDigits = 16;

std::string hex(const unsigned char* bytes, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

}  // namespace

SubjectKey SubjectKey::load(const fs::path& file) {
  std::error_code error;
  const auto status = fs::status(file, error);
  validate(fs::is_regular_file(status), file.string(),
           ": is no file that can be read; check ingest.id_key_file (a new key: openssl rand -hex "
           "32 > FILE; chmod 600 FILE)");
  validate((status.permissions() & fs::perms::others_read) == fs::perms::none, file.string(),
           ": everybody may read this key (who has it can undo the pseudonyms); chmod 600 it");
  std::string key = read_text(file);
  validate(key.size() >= kLeastBytes, file.string(), ": has ", key.size(),
           " bytes (a key that short can be guessed); give at least ", kLeastBytes);
  return SubjectKey(std::move(key));
}

SubjectKey SubjectKey::load_or_make(const fs::path& file) {
  if (!fs::exists(file)) {
    std::array<unsigned char, 32> bytes{};
    validate(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1, file.string(),
             ": cannot be made (the system gives no random numbers); give ingest.id_key_file");
    publish_private_text(file, hex(bytes.data(), bytes.size()) + "\n");
  }
  return load(file);
}

std::string SubjectKey::pseudonym(std::string_view subject) const { return "s" + digest(subject); }

// No subject has a zero byte in its name.
std::string SubjectKey::id() const { return digest({"stylescope\0key", 14}); }

std::string SubjectKey::digest(std::string_view text) const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  SS_CHECK(HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
                reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
                &size) != nullptr &&
           size == 32);
  return hex(digest.data(), kPseudonymDigits / 2);
}

}  // namespace stylescope
