#pragma once

#include "proxy/config/config.h"
#include "proxy/config/key.h"

// Which field of Config or upstream::Settings a key fills, and how the field is written as that key's value.
// A key without a field (its feature is not built) is written as its default.

namespace entrepot::config {

/// False when the key has no field. REQUIRES: the value went through check_value().
bool put(const Key& key, const Value& value, Config& config);
bool put(const Key& key, const Value& value, upstream::Settings& settings);

Value take(const Key& key, const Config& config);
Value take(const Key& key, const upstream::Settings& settings);

}  // namespace entrepot::config
