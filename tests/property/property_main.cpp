// Random programs, each run in many ways: all must show the same bits, or an error where there must be one.
//
//   property_test [--count N] [--first SEED] [--seeds FILE]   so many programs, and those of the seeds in
//   FILE property_test --seed SEED [--log]                         one program; --log: every op it applies
//
// Every program runs in a child process, so that what crashes or hangs is found, shrunk and shown like a
// wrong number.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/property/check.h"
#include "tests/property/shrink.h"

namespace tl::property {
namespace {

struct Options {
  u64 first = 1, count = 200;
  std::string seeds_path;
  bool is_single = false, log = false;
};

bool is_sanitized() {
  const char* text = std::getenv("TL_SANITIZED");
  return text != nullptr && std::string_view(text) == "1";
}

u64 number_of(const char* text) {
  u64 value = 0;
  const std::string_view all(text);
  if (std::from_chars(all.data(), all.data() + all.size(), value).ec != std::errc()) {
    fmt::print(stderr, "'{}' is no number\n", text);
    std::exit(2);
  }
  return value;
}

Options options_of(int argc, char** argv) {
  Options o;
  if (is_sanitized()) o.count = 24;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--log") {
      o.log = true;
      continue;
    }
    if (i + 1 == argc) std::exit((fmt::print(stderr, "unknown argument {}\n", name), 2));
    const char* value = argv[++i];
    if (name == "--count") {
      o.count = number_of(value);
    } else if (name == "--first") {
      o.first = number_of(value);
    } else if (name == "--seed") {
      o.first = number_of(value), o.count = 1, o.is_single = true;
    } else if (name == "--seeds") {
      o.seeds_path = value;
    } else {
      std::exit((fmt::print(stderr, "unknown argument {}\n", name), 2));
    }
  }
  return o;
}

std::vector<u64> seeds_of(const Options& o) {
  std::vector<u64> seeds;
  std::ifstream file(o.seeds_path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') seeds.push_back(number_of(line.c_str()));
  }
  for (u64 i = 0; i < o.count; ++i) seeds.push_back(o.first + i);
  return seeds;
}

// Two children share the seeds; what ends one of them is shrunk here, and another goes on behind it.
class Children {
 public:
  Children(std::vector<u64> seeds, bool is_small) : seeds_(std::move(seeds)), is_small_(is_small) {
    void* const memory =
        mmap(nullptr, sizeof(size_t) * kChildren, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TL_CHECK(memory != MAP_FAILED);
    at_ = static_cast<volatile size_t*>(memory);
  }

  int run() {
    for (size_t c = 0; c < kChildren; ++c) start(c, c);
    while (running_ > 0) {
      int status = 0;
      const pid_t ended = wait(&status);
      for (size_t c = 0; c < kChildren; ++c) {
        if (pids_[c] == ended) end(c, status);
      }
    }
    fmt::print("{} programs, {} failed\n", seeds_.size(), failed_);
    return failed_ == 0 ? 0 : 1;
  }

 private:
  static constexpr size_t kChildren = 2;
  static constexpr int kMostFailures = 3;

  void start(size_t child, size_t from) {
    std::fflush(nullptr);
    pids_[child] = fork();
    TL_CHECK(pids_[child] >= 0, "cannot fork");
    ++running_;
    if (pids_[child] > 0) return;
    for (size_t i = from; i < seeds_.size(); i += kChildren) {
      at_[child] = i;
      prepare_child(seeds_[i]);
      const std::string failure = check_program(make_program(seeds_[i], is_small_));
      if (failure.empty()) continue;
      fmt::print("seed {}: {}\n", seeds_[i], failure);
      std::fflush(nullptr);
      _exit(1);
    }
    std::fflush(nullptr);
    _exit(0);
  }

  void end(size_t child, int status) {
    --running_;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    const size_t at = at_[child];
    ++failed_;
    fmt::print("seed {} {}; run it alone with --seed {}\n", seeds_[at], end_of(status), seeds_[at]);
    fmt::print("{}", shrunk_listing(make_program(seeds_[at], is_small_)));
    std::fflush(nullptr);
    if (failed_ < kMostFailures && at + kChildren < seeds_.size()) start(child, at + kChildren);
  }

  const std::vector<u64> seeds_;
  const bool is_small_;
  volatile size_t* at_ = nullptr;
  std::array<pid_t, kChildren> pids_{};
  int running_ = 0, failed_ = 0;
};

int main_of(int argc, char** argv) {
  const Options o = options_of(argc, argv);
  if (!o.is_single) return Children(seeds_of(o), is_sanitized()).run();
  prepare_child(o.first);
  const Program program = make_program(o.first, is_sanitized());
  if (o.log) fmt::print("{}\n{}", to_string(program), log_of(program));
  std::fflush(nullptr);
  const std::string failure = check_program(program);
  fmt::print("seed {}: {}\n", o.first, failure.empty() ? "passed" : failure);
  return failure.empty() ? 0 : 1;
}

}  // namespace
}  // namespace tl::property

int main(int argc, char** argv) {
  return tl::property::main_of(argc, argv);
}
