#include "tl/tools/cli/signals.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <string_view>

#include "tl/base/check.h"
#include "tl/tools/cli/commands.h"

namespace tl::cli {
namespace {

constexpr long kPatience = 50'000'000;  // ns from the signal to the end, whatever is under way

lang::Interrupts g_interrupts;
std::atomic<int> g_code{0};
std::atomic<bool> g_is_ending{false};
timer_t g_timer;

// Everything below runs in a signal handler: only what POSIX allows there.
void end_now() {
  constexpr std::string_view kText = "error: interrupted\n";
  (void)!write(STDERR_FILENO, kText.data(), kText.size());
  _exit(g_code.load());
}

extern "C" void on_signal(int signal) {
  const bool ends = signal == SIGTERM;
  g_interrupts.presses.fetch_add(ends ? lang::Interrupts::kEnd : 1);
  if (!g_interrupts.is_over()) return;  // the program's to see
  int none = 0;
  g_code.compare_exchange_strong(none, ends ? kTerminated : kInterrupted);
  if (g_is_ending.exchange(true)) end_now();
  const itimerspec soon{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = kPatience}};
  timer_settime(g_timer, 0, &soon, nullptr);
}

extern "C" void on_timer(int) {
  end_now();
}

}  // namespace

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_timer;
  sigaction(SIGALRM, &action, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  TL_CHECK(timer_create(CLOCK_MONOTONIC, &event, &g_timer) == 0, "no timer for Ctrl-C");
  action.sa_handler = on_signal;  // without SA_RESTART: a read that waits for input returns
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

lang::Interrupts& interrupts() {
  return g_interrupts;
}

int signal_exit_code() {
  return g_code.load();
}

}  // namespace tl::cli
