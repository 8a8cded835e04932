#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/log.h"
#include "cache/blob_check.h"
#include "cache/cache.h"
#include "cache/doubtful_blobs.h"
#include "cache/inbox.h"

namespace entrepot::cache {

/// Every blob of the index against its file, and every file against the index, once, as fast as it goes. Made
/// for one run, on a thread that may block for hours.
class Verify {
 public:
  struct Surroundings {
    Index& index;
    OpenFiles& uses;
    BlobFiles& blobs;
    Inbox& inbox;
    DoubtfulBlobs& doubtful;
    Logger& logger;
  };
  explicit Verify(Surroundings surroundings)
      : around_(surroundings), check_(surroundings.index, surroundings.uses, surroundings.blobs) {}

  /// `on_progress`: false = leave off; the run is then `cancelled`. `damaged`: as of Scrub.
  Result<VerifyReport> run(bool repairs, const OnVerifyProgress& on_progress,
                           const std::function<void(DamagedBlob)>& damaged);

 private:
  Status check_rows(const OnVerifyProgress& on_progress, const std::function<void(DamagedBlob)>& damaged);
  /// Hands something to the writer, and waits for it now and then: he keeps what he was given.
  Status post(Message message);
  Status flush();
  Result<std::string> look_at(BlobCheck::Found& blob, const BlobCheck::Spend& spend, uint64_t& inode);
  Status check_files(const OnVerifyProgress& on_progress);
  Status judge_unknown(BlobFiles::Found found, const BlobCheck::Spend& spend);
  Result<std::optional<BlobRow>> find_row(const Digest& digest) const;
  void note(const Digest& digest, const std::string& complaint);

  const Surroundings around_;
  BlobCheck check_;
  VerifyReport report_;
  bool repairs_ = false;
  size_t posted_ = 0;  // since the writer was waited for
};

}  // namespace entrepot::cache
