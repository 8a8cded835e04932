#include "proxy/daemon/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <cstdint>

namespace entrepot::daemon {

Result<Signals> Signals::block() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGCHLD, SIG_DFL);  // inherited as ignored, how a child ended would be lost
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  UniqueFd signals(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  UniqueFd bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!signals.is_open() || !bell.is_open()) return fail(system_error("signalfd", errno));
  return Signals(std::move(signals), std::move(bell));
}

Signals::Event Signals::wait() {
  pollfd fds[] = {{signals_.get(), POLLIN, 0}, {bell_.get(), POLLIN, 0}};
  while (true) {
    ::poll(fds, 2, -1);
    signalfd_siginfo signal;
    if (::read(signals_.get(), &signal, sizeof signal) == sizeof signal)
      return signal.ssi_signo == SIGHUP ? Event::reload : Event::stop;
    uint64_t rings;
    if (::read(bell_.get(), &rings, sizeof rings) == sizeof rings) return Event::bell;
  }
}

void Signals::ring() {
  uint64_t one = 1;
  ssize_t written = ::write(bell_.get(), &one, sizeof one);
  static_cast<void>(written);  // full means that it rings already
}

}  // namespace entrepot::daemon
