#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

// Pseudonyms of the people whose images are worked on. Who has the key and a list of people can
// tell which pseudonym is whose; without the key nobody can.
namespace stylescope {

class SubjectKey {
 public:
  // All bytes of the file are the key. Throws Error when it cannot be read, has less than 16 bytes,
  // or others than its owner and group may read it.
  static SubjectKey load(const std::filesystem::path& file);
  // The same; where there is no such file it is made first: 256 random bits as hex digits, mode
  // 0600.
  static SubjectKey load_or_make(const std::filesystem::path& file);

  // "s" and the first 16 hex digits of HMAC-SHA256 (RFC 2104) of the subject: the same subject and
  // key give the same pseudonym, and two subjects of 100,000 the same one with a chance of 3e-10.
  std::string pseudonym(std::string_view subject) const;
  // By which pseudonyms of one key are known as such: another HMAC, of a constant, which tells
  // nothing of the key. 16 hex digits.
  std::string id() const;

 private:
  explicit SubjectKey(std::string key) : key_(std::move(key)) {}
  std::string digest(std::string_view text) const;
  std::string key_;
};

}  // namespace stylescope
