// Where things are: the standard library and other shared files, and the model cache.
#pragma once

#include <string>
#include <vector>

#include "tl/base/result.h"

namespace tl {

// The folder of std/, models.json and fetch_model.py: $TL_SHARE, else share/tl beside or one above the
// program, else beside the sources it was built from.
std::string share_dir();
// $TL_MODELS, else $XDG_CACHE_HOME/tl/models, else ~/.cache/tl/models.
std::string model_cache_dir();

struct KnownModel {
  std::string name, file, about, license;
  i64 bytes = 0;
  bool cached = false;
  std::string path;  // in the cache, there or not
};
// The table of models that can be fetched by name.
Result<std::vector<KnownModel>> known_models();

// MODEL of the command line: a path, or the name of a model in the cache.
Result<std::string> find_model(const std::string& name);

}  // namespace tl
