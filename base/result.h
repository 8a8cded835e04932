#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "base/errc.h"

// Result<T> is how every function of ours that can fail says so; our code does not throw. The message is made
// by the one who knows most: it names the upstream, repository and digest, and never holds a secret.

namespace entrepot {

struct Error {
  Errc code = Errc::internal;
  std::string message;
  int retry_after_seconds = 0;  // what an upstream's Retry-After said (RFC 9110 section 10.2.3); 0 = nothing
};

template <class T>
using Result = tl::expected<T, Error>;

using Status = Result<void>;

inline tl::unexpected<Error> fail(Errc code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

/// "<what>: <strerror(errno_value)>", with ENOSPC and EDQUOT as disk_full and the rest as io_error.
Error system_error(std::string what, int errno_value);

}  // namespace entrepot

#define ENTREPOT_CONCAT_(a, b) a##b
#define ENTREPOT_CONCAT(a, b) ENTREPOT_CONCAT_(a, b)

// Statements for plain functions (coroutines write the two lines out, see base/task/README.md).
#define ENTREPOT_TRY(expression)                                                               \
  do {                                                                                         \
    auto entrepot_try_result = (expression);                                                   \
    if (!entrepot_try_result) return ::entrepot::fail(std::move(entrepot_try_result).error()); \
  } while (false)

#define ENTREPOT_TRY_ASSIGN(declaration, expression)                                      \
  auto ENTREPOT_CONCAT(entrepot_try_, __LINE__) = (expression);                           \
  if (!ENTREPOT_CONCAT(entrepot_try_, __LINE__))                                          \
    return ::entrepot::fail(std::move(ENTREPOT_CONCAT(entrepot_try_, __LINE__)).error()); \
  declaration = std::move(*ENTREPOT_CONCAT(entrepot_try_, __LINE__))

// The same inside a coroutine, for an expression without co_await.
#define ENTREPOT_CO_TRY(expression)                                                               \
  do {                                                                                            \
    auto entrepot_try_result = (expression);                                                      \
    if (!entrepot_try_result) co_return ::entrepot::fail(std::move(entrepot_try_result).error()); \
  } while (false)
