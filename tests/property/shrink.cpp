#include "tests/property/shrink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <sstream>

#include "tests/property/check.h"

namespace tl::property {
namespace {

constexpr int kTries = 3;  // what depends on threads does not fail every time
constexpr int kMostShrinks = 400;

// Runs `work` in a process of its own, its output going to `path`; how that ended.
int in_child(const std::string& path, const std::function<int()>& work) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    const int code = work();
    std::fflush(nullptr);
    _exit(code);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

class Shrinker {
 public:
  explicit Shrinker(Program program) : program_(std::move(program)) {}

  std::string run() {
    if (!fails(program_)) return "  it did not fail again\n";
    while (shrink_once()) {
    }
    std::string text =
        fmt::format("shrunk to\n{}which {}: {}\n", to_string(program_), end_of(status_), said_);
    in_child(path_, [&] {
      prepare_child(program_.seed);
      fmt::print("{}", log_of(program_));
      return 0;
    });
    text += "every op of it, one after the other:\n" + output();
    std::remove(path_.c_str());
    return text;
  }

 private:
  std::string output() const {
    std::stringstream all;
    all << std::ifstream(path_).rdbuf();
    return all.str();
  }

  bool fails(const Program& program) {
    for (int i = 0; i < kTries; ++i) {
      const int status = in_child(path_, [&] {
        prepare_child(program.seed);
        const std::string failure = check_program(program);
        fmt::print("{}\n", failure);
        return failure.empty() ? 0 : 1;
      });
      if (status == 0) continue;
      status_ = status;
      said_ = output();
      return true;
    }
    return false;
  }

  // Tries every removal once; true if any was possible.
  bool shrink_once() {
    bool any = false;
    for (size_t f = 0; f < program_.functions.size(); ++f) {
      any |= shrink_list([f](Program & p) -> auto& { return p.functions[f].steps; });
    }
    any |= shrink_list([](Program & p) -> auto& { return p.main; });
    for (size_t i = 0; i < program_.main.size(); ++i) {
      for (size_t t = 0; t < program_.main[i].bodies.size(); ++t) {
        any |= shrink_list([ i, t ](Program & p) -> auto& { return p.main[i].bodies[t]; });
      }
    }
    return any;
  }

  template <typename ListOf>
  bool shrink_list(ListOf list_of) {
    bool any = false;
    for (size_t at = list_of(program_).size(); at-- > 0;) {
      if (++shrinks_ > kMostShrinks) return false;
      Program smaller = program_;
      list_of(smaller).erase(list_of(smaller).begin() + static_cast<std::ptrdiff_t>(at));
      if (!fails(smaller)) continue;
      program_ = std::move(smaller);
      any = true;
    }
    return any;
  }

  Program program_;
  const std::string path_ = fmt::format("/tmp/tl_property_{}.txt", getpid());
  int status_ = 0, shrinks_ = 0;
  std::string said_;
};

}  // namespace

std::string shrunk_listing(Program program) {
  return Shrinker(std::move(program)).run();
}

std::string end_of(int status) {
  if (WIFSIGNALED(status)) return fmt::format("was ended by signal {}", WTERMSIG(status));
  return "failed";
}

}  // namespace tl::property
