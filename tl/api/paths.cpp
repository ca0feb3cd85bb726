#include "tl/api/paths.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tl/base/read_file.h"

namespace tl {
namespace fs = std::filesystem;

static std::string from_env(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string share_dir() {
  if (const std::string given = from_env("TL_SHARE"); !given.empty()) return given;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& candidate : {program / "share/tl", program / "../share/tl"}) {
    if (fs::exists(candidate / "std", error)) return fs::weakly_canonical(candidate, error).string();
  }
  return TL_SOURCE_DIR;
}

std::string model_cache_dir() {
  if (const std::string given = from_env("TL_MODELS"); !given.empty()) return given;
  if (const std::string cache = from_env("XDG_CACHE_HOME"); !cache.empty()) return cache + "/tl/models";
  return from_env("HOME") + "/.cache/tl/models";
}

Result<std::vector<KnownModel>> known_models() {
  std::error_code error;
  fs::path path = fs::path(share_dir()) / "models.json";
  if (!fs::exists(path, error)) path = fs::path(share_dir()) / "scripts/models.json";
  const Result<std::string> text = read_whole_file(path.string());
  const nlohmann::json table = nlohmann::json::parse(text.ok() ? text.value() : "", nullptr, false);
  if (!table.is_object() || !table.contains("models")) {
    return fail(Code::Io, "cannot read the table of models {} (is tl installed whole?)", path.string());
  }
  std::vector<KnownModel> models;
  for (const auto& row : table["models"]) {
    KnownModel m{row.value("name", ""),
                 row.value("file", ""),
                 row.value("about", ""),
                 row.value("license", ""),
                 row.value("bytes", i64{0}),
                 false,
                 ""};
    m.path = (fs::path(model_cache_dir()) / m.file).string();
    m.cached = fs::exists(m.path, error);
    models.push_back(std::move(m));
  }
  return models;
}

Result<std::string> find_model(const std::string& name) {
  std::error_code error;
  if (fs::exists(name, error)) return name;
  for (const std::string& file : {name, name + ".gguf"}) {
    const fs::path cached = fs::path(model_cache_dir()) / file;
    if (name.find('/') == std::string::npos && fs::exists(cached, error)) return cached.string();
  }
  TL_TRY(const std::vector<KnownModel> models, known_models());
  std::string names;
  for (const KnownModel& m : models) {
    if (m.name == name)
      return fail(Code::Io, "model {} is not in the cache (tl models fetch {})", name, name);
    names += (names.empty() ? "" : ", ") + m.name;
  }
  return fail(Code::Io, "no file {} and no model of that name (tl models fetch knows: {})", name, names);
}

}  // namespace tl
