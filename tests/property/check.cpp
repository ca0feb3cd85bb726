#include "tests/property/check.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/property/run_program.h"

namespace tl::property {
namespace {

constexpr unsigned kSecondsUntilHung = 300;  // machines may be very busy

// What runs, for who finds the process dead.
char now_running[512];

void tell_what_ran(int signal) {
  (void)!write(STDERR_FILENO, now_running, std::strlen(now_running));
  std::signal(signal, SIG_DFL);
  raise(signal);
}

void note(const Program& program, const Settings& settings) {
  std::snprintf(now_running, sizeof now_running, "while program %llu ran: %s\n",
                static_cast<unsigned long long>(program.seed), to_string(settings).c_str());
}

Settings truth() {
  Settings s;
  s.exec.eager = true;
  s.exec.fuse = false;
  s.alone = true;
  return s;
}

Settings random_settings(Random& random) {
  Settings s;
  s.threads = static_cast<int>(random.pick<i64>({1, 2, 2, 3, 4, 5, 8, 16}));
  s.exec.commands_per_batch = static_cast<int>(random.pick<i64>({0, 0, 1, 2, 3, 7, 20, 200, 10000}));
  if (random.one_in(3)) s.exec.shuffle = random.next() % 1000;
  s.exec.fuse = !random.one_in(3);
  s.exec.eager = random.one_in(6);
  s.is_warm = random.one_in(2);
  s.keeps_executors = random.one_in(2);
  if (random.one_in(4)) s.exec.pending_soft_limit = 5;
  return s;
}

const OpDef* an_op_of(const Program& program, Random& random) {
  const Function& f =
      program.functions[static_cast<size_t>(random.below(static_cast<i64>(program.functions.size())))];
  if (f.steps.empty()) return nullptr;
  return f.steps[static_cast<size_t>(random.below(static_cast<i64>(f.steps.size())))].op;
}

std::string random_failures(const Program& program, Random& random) {
  switch (random.below(5)) {
    case 0:
      return fmt::format("command:{}", random.between(1, 60));
    case 1:
      return fmt::format("command:0.05@{}", random.below(1000));
    case 2:
      return fmt::format("alloc:0.02@{}", random.below(1000));
    case 3:
      return fmt::format("map:{},alloc:{}", random.between(1, 3), random.between(1, 60));
    default:
      const OpDef* op = an_op_of(program, random);
      return fmt::format("op:{}:{}", op != nullptr ? op->name : "append_rows", random.between(1, 3));
  }
}

// The failure of a command names its op.
bool names_its_op(const Observation& o) {
  return o.text.find("failed on purpose (") == std::string::npos || o.text.find(": ") != std::string::npos;
}

std::string difference(const Observations& want, const Observations& got, bool may_fail) {
  for (size_t i = 0; i < std::min(want.size(), got.size()); ++i) {
    const bool lost = may_fail && got[i].failed;
    if (lost && !names_its_op(got[i])) return fmt::format("{}: '{}' names no op", got[i].where, got[i].text);
    if (lost || (want[i].failed && got[i].failed)) continue;
    if (want[i].failed == got[i].failed && want[i].text == got[i].text) continue;
    return fmt::format("{} is {}, want {}", got[i].where, got[i].text, want[i].text);
  }
  if (want.size() != got.size()) return fmt::format("{} observations, want {}", got.size(), want.size());
  return "";
}

std::vector<Settings> ways_to_run(const Program& program, Random& random) {
  std::vector<Settings> ways;
  for (const bool is_warm : {false, true}) {
    for (const int batch : {3, 10000}) {
      Settings s;
      s.device = Settings::Device::Null;
      s.is_warm = is_warm;
      s.exec.fuse = !random.one_in(4);
      s.exec.commands_per_batch = batch;
      ways.push_back(s);
    }
  }
  Settings eager, many;
  eager.exec.eager = true;
  many.threads = 16;
  many.is_warm = true;
  ways.insert(ways.end(), {eager, many, many});
  for (int i = 0; i < 8; ++i) ways.push_back(random_settings(random));
  for (int i = 0; i < 3; ++i) {
    ways.push_back(random_settings(random));
    ways.back().failures = random_failures(program, random);
  }
  return ways;
}

// One way to run a program.
std::string check_one(const Program& program, const Settings& settings, const Observations& want) {
  note(program, settings);
  Observations afterwards;
  const bool fails = !settings.failures.empty();
  const Observations got = run_program(program, settings, fails ? &afterwards : nullptr, nullptr);
  if (settings.device == Settings::Device::Null)
    return "";  // it computes nothing, but refuses what is in no order
  std::string failure = difference(want, got, fails);
  if (failure.empty() && fails) {
    failure = difference(want, afterwards, false);
    if (!failure.empty()) failure = "after the failures " + failure;
  }
  return failure.empty() ? "" : fmt::format("{}: {}", to_string(settings), failure);
}

}  // namespace

std::string check_program(const Program& program) {
  Random random(hash_combine(program.seed, 0x73657474));
  note(program, truth());
  const Observations want = run_program(program, truth(), nullptr, nullptr);
  for (const Settings& settings : ways_to_run(program, random)) {
    if (std::string failure = check_one(program, settings, want); !failure.empty()) return failure;
  }
  return "";
}

std::string log_of(const Program& program) {
  std::string log;
  run_program(program, truth(), nullptr, &log);
  return log;
}

void prepare_child(u64 seed) {
  setenv("TL_POISON", seed % 2 == 0 ? "1" : "0", 1);
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM}) std::signal(signal, tell_what_ran);
  alarm(kSecondsUntilHung);
}

}  // namespace tl::property
