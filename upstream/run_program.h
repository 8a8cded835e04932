#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

namespace entrepot::upstream {

struct ProgramRun {
  std::vector<std::string> command;  // the first is looked for in PATH
  std::string input;                 // for its standard input; at most 4 KiB
  Duration timeout{60'000};
};

/// What a program that gives out a credential printed. BLOCKING. Its error output goes nowhere: it may hold
/// what its output holds. Errors: upstream_refused_credential (it does not start, ends with another code than
/// 0, prints more than 1 MiB, takes too long: then it and its children are killed), shutting_down.
Result<Secret> run_program(const ProgramRun& run, const std::atomic<bool>& is_stopped);

}  // namespace entrepot::upstream
