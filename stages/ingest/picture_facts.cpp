#include "stages/ingest/picture_facts.hpp"

#include "io/base/error.hpp"
#include "io/dicom.hpp"
#include "io/ordered_pool.hpp"

#include <algorithm>
#include <thread>

namespace stylescope {
namespace {

PictureFacts facts_of(const std::filesystem::path& file) {
  try {
    if (!is_dicom(file)) return {};
    const auto header = read_dicom_header(file);
    return {header.patient_id, header.laterality};
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

std::vector<PictureFacts> picture_facts(const std::vector<std::filesystem::path>& files,
                                        int64_t threads) {
  const auto count = static_cast<int64_t>(files.size());
  if (threads == 0) threads = std::max<int64_t>(1, std::thread::hardware_concurrency());
  OrderedPool<PictureFacts> pool(count, std::min(threads, count), 64 * threads, [&](int64_t i) {
    return facts_of(files[static_cast<size_t>(i)]);
  });
  std::vector<PictureFacts> facts;
  facts.reserve(files.size());
  for (int64_t i = 0; i < count; ++i) facts.push_back(pool.take());
  return facts;
}

}  // namespace stylescope
