#include "stages/ingest/subject_map.hpp"

#include "io/base/error.hpp"
#include "io/private_file.hpp"

#include <map>

namespace stylescope {

std::vector<ImageRecord> with_pseudonyms(const std::vector<ImageRecord>& records,
                                         const SubjectKey& key) {
  struct Seen {
    std::string subject;
    int64_t images = 0;
  };
  std::map<std::string, Seen> seen;
  std::vector<ImageRecord> written = records;
  for (auto& record : written) {
    const std::string pseudonym = key.pseudonym(record.subject);
    Seen& known = seen[pseudonym];
    if (known.images == 0) known.subject = record.subject;
    validate(known.subject == record.subject, "ingest: two subjects get the same pseudonym ",
             pseudonym, " (which happens once in a long while); give another ingest.id_key_file");
    record.subject = pseudonym;
    record.path = pseudonym + "/" + std::to_string(++known.images);
  }
  return written;
}

void write_subject_map(const std::filesystem::path& file, const ImagePlan& plan,
                       const std::vector<ImageRecord>& written, const std::vector<int64_t>& rows) {
  std::string text = "image,written_as,path,subject,pseudonym\n";
  for (size_t i = 0; i < written.size(); ++i) {
    const auto& path = plan.sources.empty() ? plan.records[i].path : plan.sources[i].path;
    text += (rows[i] < 0 ? "" : std::to_string(rows[i])) + "," + written[i].path + "," +
            csv_field(path) + "," + csv_field(plan.records[i].subject) + "," + written[i].subject +
            "\n";
  }
  publish_private_text(file, text);
}

}  // namespace stylescope
