#pragma once

// CHECK is for broken invariants of our own code, on in every build. It is never used for input: what comes
// from outside gets a Result.

namespace entrepot {

[[noreturn]] void check_failed(const char* file, int line, const char* condition) noexcept;

}  // namespace entrepot

#define CHECK(condition)                                        \
  do {                                                          \
    if (!(condition)) [[unlikely]]                              \
      ::entrepot::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
