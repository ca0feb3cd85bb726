#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "tl/base/read_file.h"
#include "tl/interp/compiler.h"
#include "tl/syntax/parser.h"

namespace tl::interp {
namespace {

class Loader {
 public:
  Loader(SourceFiles& files, const std::string& share_dir, Diagnostics& diags)
      : files_(files), share_dir_(share_dir), diags_(diags) {}

  // Depth first; the chain of files under way shows cycles. Chains are as long as paths of distinct files,
  // and each level is small, so recursion is bounded by kMaxChain.
  size_t load(FileId file, const std::string& path) {
    chain_.push_back(path);
    Module module{path, parse(files_, file, diags_), {}, {}};
    for (const auto& statement : module.tree->statements) {
      if (const auto* import = ast::get_if<ast::Import>(statement)) follow(*import, path, module);
    }
    import_what_needs_none(module);
    chain_.pop_back();
    graph_.modules.push_back(std::move(module));
    return done_[path] = graph_.modules.size() - 1;
  }
  ModuleGraph take() {
    graph_.files = &files_;
    return std::move(graph_);
  }

 private:
  static constexpr size_t kMaxChain = 200;

  std::string resolve(const std::string& import, const std::string& from) const {
    namespace fs = std::filesystem;
    if (import.starts_with("std/")) return (fs::path(share_dir_) / import).lexically_normal().string();
    const fs::path wanted(import);
    return (wanted.is_absolute() ? wanted : fs::path(from).parent_path() / wanted)
        .lexically_normal()
        .string();
  }

  // Functions of the standard library that programs call without an import, unless they have their own.
  void import_what_needs_none(Module& module) {
    static constexpr std::pair<std::string_view, std::string_view> kFunctions[] = {
        {"generate", "std/complete.tl"}, {"new_tensor_buffer", "std/buffer.tl"}};
    std::set<std::string, std::less<>> names;
    bool is_collected = false;
    for (const auto& [name, file] : kFunctions) {
      const std::string path = resolve(std::string(file), module.path);
      const bool is_within = std::find(chain_.begin(), chain_.end(), path) != chain_.end();
      if (is_within || declares(*module.tree, name)) continue;
      if (std::any_of(graph_.modules.begin(), graph_.modules.end(),
                      [&, n = name](const Module& other) { return declares(*other.tree, n); }) &&
          done_.find(path) == done_.end())
        continue;
      if (!std::exchange(is_collected, true)) collect_module_names(*module.tree, names);
      if (names.find(name) == names.end()) continue;
      ast::Import import;
      import.path = file;
      import.path_span = {module.tree->file, 0, 0};
      std::vector<size_t> before = std::exchange(module.imports, {});
      follow(import, module.path, module);  // before the others: theirs hide it
      module.imports.insert(module.imports.end(), before.begin(), before.end());
    }
  }

  static bool declares(const ast::Module& tree, std::string_view name) {
    return std::any_of(tree.statements.begin(), tree.statements.end(), [&](const auto& s) {
      const auto* fn = ast::get_if<ast::Fn>(s);
      return fn != nullptr && fn->name.text == name;
    });
  }

  void follow(const ast::Import& import, const std::string& from, Module& module) {
    const std::string path = resolve(import.path, from);
    if (const auto it = done_.find(path); it != done_.end()) return note(import, it->second, module);
    for (size_t i = 0; i < chain_.size(); ++i) {
      if (chain_[i] != path) continue;
      std::string circle;
      for (; i < chain_.size(); ++i) circle += chain_[i] + " -> ";
      diags_.report(DiagCode::ImportCycle, import.path_span, circle + path);
      return;
    }
    if (chain_.size() >= kMaxChain) {
      diags_.report(DiagCode::ImportNotFound, import.path_span, import.path,
                    fmt::format("{} files import each other in a row", kMaxChain));
      return;
    }
    Result<std::string> text = read_whole_file(path, SourceFiles::kMaxBytes);
    if (!text.ok()) {
      diags_.report(DiagCode::ImportNotFound, import.path_span, import.path, text.error().message);
      return;
    }
    const FileId file = files_.add(path, std::move(text).value());
    const size_t index = load(file, path);
    note(import, index, module);
  }

  static void note(const ast::Import& import, size_t index, Module& module) {
    if (import.alias || !import.selected.empty())
      module.named.emplace_back(&import, index);
    else
      module.imports.push_back(index);
  }

  SourceFiles& files_;
  const std::string& share_dir_;
  Diagnostics& diags_;
  ModuleGraph graph_;
  std::map<std::string, size_t> done_;
  std::vector<std::string> chain_;
};

}  // namespace

ModuleGraph load_modules(SourceFiles& files, FileId root, const std::string& share_dir, Diagnostics& diags) {
  Loader loader(files, share_dir, diags);
  loader.load(root, std::filesystem::path(files.name(root)).lexically_normal().string());
  return loader.take();
}

}  // namespace tl::interp
