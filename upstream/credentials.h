#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/disk/disk_pool.h"
#include "base/loop/event_loop.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/task/task.h"
#include "upstream/settings.h"

namespace entrepot::upstream {

/// Whether requests to this upstream carry a credential of ours at all: not when it is to be read
/// anonymously.
bool has_credential(const Settings& settings);

/// Our own credential, as an upstream is shown it.
struct Credential {
  Secret authorization;  // "Basic <base64>", of ECR Public "Bearer <token>": for an Authorization header
  Secret identity_token = {};  // or this: what a token service takes in its place (OAuth2's refresh token)
  uint64_t serial = 0;         // which one of those that replace each other; 0 = it is not replaced
  bool is_fresh = true;        // refused, another would be refused too
};

/// Where an upstream's own credential comes from. A seam.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  /// Another one than that with `refused_serial`. REQUIRES: has_credential(settings).
  /// upstream_refused_credential when there is none to be had: no file, an empty or unusable one.
  virtual Task<Result<Credential>> credential(uint64_t refused_serial) = 0;
};

/// "Basic …" of them, for an Authorization header; an error says what cannot stand there.
Result<Secret> basic_authorization(const std::string& username, const Secret& password);

/// `username` with the password from `password_file` or `password_env`. The file is looked at for each use,
/// on the disk pool, and read again when its inode, size or modification time has changed, so a rotated
/// secret needs no restart. One line end at its end is no part of the password. One per upstream and loop;
/// loop's thread only.
class Credentials final : public CredentialSource {
 public:
  Credentials(const Settings& settings, DiskPool& pool, EventLoop& loop)
      : settings_(settings), pool_(pool), loop_(loop) {}
  Task<Result<Credential>> credential(uint64_t refused_serial) override;

 private:
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;
    int64_t modified_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct Reading {
    Stamp stamp;
    bool is_unchanged = false;
    Secret password;
  };
  static Result<Reading> read_file(const std::string& path, const Stamp& known);
  Result<Credential> basic_with(const Secret& password) const;
  Error problem(std::string_view cause) const;

  const Settings& settings_;
  DiskPool& pool_;
  EventLoop& loop_;
  Stamp stamp_;
  Secret password_;
};

}  // namespace entrepot::upstream
