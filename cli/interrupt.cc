#include "interrupt.h"

#include <unistd.h>

#include <csignal>

#include "output.h"

namespace pomona::cli {
namespace {

std::atomic<bool> interrupted = false;
std::atomic<int> caught = SIGINT;
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "set by a signal handler");

void OnInterrupt(int number) {
  caught = number;
  interrupted = true;
  alarm(kPatience);
}

void OnAlarm(int) {
  PrintInterrupted();
  _exit(InterruptedCode());
}

}  // namespace

const std::atomic<bool>* CatchInterrupts() {
  struct sigaction action = {};
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  action.sa_handler = OnInterrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = OnAlarm;
  sigaction(SIGALRM, &action, nullptr);
  return &interrupted;
}

int InterruptedCode() { return 128 + caught; }

}  // namespace pomona::cli
