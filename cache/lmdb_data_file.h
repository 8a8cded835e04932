#pragma once

#include "base/result.h"

namespace entrepot::cache {

enum class DataFile {
  missing,  // no file or an empty one: LMDB will make it
  sound,    // may be mapped
  damaged,  // mapping it would end in SIGBUS, or it is no LMDB file
};

/// BLOCKING. Judges `data.mdb` in the open directory before LMDB maps it: LMDB trusts its meta pages, so a
/// file that is shorter than they say kills the process by SIGBUS at the first look-up. Call only while no
/// environment is open: closing a second descriptor of the file would drop LMDB's locks.
Result<DataFile> inspect_data_file(int index_directory);

}  // namespace entrepot::cache
