#include "tl/builtins/model.h"

#include <algorithm>
#include <filesystem>

#include "tl/base/read_file.h"
#include "tl/builtins/convert.h"
#include "tl/diag/suggest.h"
#include "tl/text/tokenizer/tokenizer_json.h"
#include "tl/text/tokenizer/tokenizer_metadata.h"

namespace tl::lang {
namespace {

void add_to_tree(ModelNode& root, std::string_view name) {
  ModelNode* node = &root;
  std::string_view rest = name;
  while (true) {
    const size_t dot = rest.find('.');
    std::unique_ptr<ModelNode>& child = node->children[std::string(rest.substr(0, dot))];
    if (child == nullptr) {
      child = std::make_unique<ModelNode>();
      child->path = name.substr(
          0, dot == std::string_view::npos ? dot : static_cast<size_t>(rest.data() - name.data()) + dot);
    }
    node = child.get();
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  node->is_tensor = true;
}

Value value_of(const GgufValue& value) {
  if (const auto b = value.as_bool()) return Value(*b);
  if (const auto i = value.as_i64()) return Value(*i);
  if (const auto f = value.as_f64()) return Value(*f);
  if (const auto s = value.as_string()) return make_string(std::string(*s));
  std::vector<Value> items;
  const GgufArray& array = *value.as_array();
  for (u64 i = 0; i < array.size; ++i) items.push_back(value_of(array.at(i)));
  return make_list(std::move(items));
}

Error no_part(const ModelNode& node, std::string_view name) {
  std::vector<std::string> names;
  for (const auto& [child, unused] : node.children) names.push_back(child);
  const std::string_view close = closest_name(name, names);
  std::string hint = close.empty() ? "" : fmt::format(" (did you mean '{}'?)", close);
  const std::string whole = node.path.empty() ? std::string(name) : fmt::format("{}.{}", node.path, name);
  return fail(Code::BadProgram, "model has no tensor '{}'{}", whole, hint);
}

Result<Value> enter(CallContext& ctx, const Value& model, ModelNode& node, std::string_view name) {
  const auto it = node.children.find(name);
  if (it == node.children.end()) return no_part(node, name);
  ModelNode& child = *it->second;
  if (!child.is_tensor) return Value(new ModelPath(model, child));
  TL_TRY(Tensor tensor, load_tensor(ctx, model.as<Model>(), child));
  return make_tensor(std::move(tensor));
}

Value token_or_unit(TokenId id) {
  return id == kNoToken ? Value::unit() : Value(static_cast<i64>(id));
}

Result<Value> tokenizer_field(const Tokenizer& tokenizer, std::string_view name) {
  const TokenizerSpec& spec = tokenizer.spec();
  if (name == "bos") return token_or_unit(spec.bos);
  if (name == "eos") return token_or_unit(spec.eos);
  if (name == "eot") return token_or_unit(spec.eot);
  if (name == "pad") return token_or_unit(spec.pad);
  if (name == "unknown") return token_or_unit(spec.unknown);
  if (name == "size" || name == "vocab_size") return Value(static_cast<i64>(tokenizer.size()));
  if (name == "add_bos") return Value(spec.add_bos);
  if (name == "add_eos") return Value(spec.add_eos);
  if (name == "chat_template") return make_string(spec.chat_template);
  return fail(Code::BadProgram, "Tokenizer has no field '{}'", name);
}

}  // namespace

// Why a file cannot be opened, with what to do where it is not there.
static Error missing(Error error, const std::string& path, std::string_view what) {
  std::error_code failed;
  if (error.code == Code::Io && !std::filesystem::exists(path, failed)) {
    error.message = fmt::format(
        "no {} at {} (put one there; tl models fetch NAME gets a model, tl models lists them)", what, path);
  }
  return error;
}

static bool is_safetensors(const std::string& path) {
  std::error_code failed;
  return path.ends_with(".safetensors") || path.ends_with(".safetensors.index.json") ||
         std::filesystem::is_directory(path, failed);
}

Result<Value> open_model(CallContext& ctx, const std::string& path) {
  auto data = std::make_shared<ModelData>();
  data->opened = ctx.host.opened;
  if (is_safetensors(path)) {
    auto file = SafetensorsModel::open(path);
    if (!file.ok()) return missing(std::move(file).error(), path, "model");
    data->safetensors = std::move(file).value();
  } else {
    auto file = GgufFile::open(path);
    if (!file.ok()) return missing(std::move(file).error(), path, "model");
    data->gguf = std::move(file).value();
  }
  auto* model = new Model(std::move(data));
  Value value(model);
  for (const std::string_view name : model->tensor_names()) add_to_tree(model->data->root, name);
  return value;
}

Result<Value> open_tokenizer(CallContext& ctx, const std::string& path) {
  TokenizerSpec spec;
  if (path.ends_with(".json")) {
    auto text = read_whole_file(path);
    if (!text.ok()) return missing(std::move(text).error(), path, "tokenizer");
    const auto config =
        read_whole_file((std::filesystem::path(path).parent_path() / "tokenizer_config.json").string());
    TL_TRY(spec, read_tokenizer_json(text.value(), config.ok() ? config.value() : ""));
  } else {
    auto file = GgufFile::open(path);
    if (!file.ok()) return missing(std::move(file).error(), path, "tokenizer");
    TL_TRY(spec, read_tokenizer_spec(**file));
  }
  TL_TRY(Tokenizer tokenizer, Tokenizer::create(std::move(spec)));
  auto shared = std::make_shared<const Tokenizer>(std::move(tokenizer));
  if (ctx.host.opened) ctx.host.opened(shared);
  return Value(new TokenizerValue(std::move(shared)));
}

std::vector<std::string_view> Model::tensor_names() const {
  std::vector<std::string_view> names;
  if (gguf() != nullptr) {
    for (const GgufTensor& tensor : gguf()->tensors()) names.push_back(tensor.name);
  } else {
    for (const SafetensorsTensor& tensor : data->safetensors->tensors()) names.push_back(tensor.name);
  }
  return names;
}

Result<bool> has_metadata(const Model& model, std::string_view key) {
  if (model.gguf() != nullptr) return model.gguf()->find(key) != nullptr;
  return model.data->safetensors->metadata().count(std::string(key)) > 0;
}

ModelNode* find_node(Model& model, std::string_view name) {
  ModelNode* node = &model.data->root;
  while (true) {
    const size_t dot = name.find('.');
    const auto it = node->children.find(name.substr(0, dot));
    if (it == node->children.end()) return nullptr;
    node = it->second.get();
    if (dot == std::string_view::npos) return node;
    name.remove_prefix(dot + 1);
  }
}

static Result<Tensor> load_gguf(CallContext& ctx, const Model& model, const ModelNode& node) {
  TL_TRY(const GgufTensor* tensor, model.gguf()->get_tensor(node.path));
  const auto bytes = std::as_bytes(model.gguf()->bytes(*tensor));
  const auto owner = std::const_pointer_cast<GgufFile>(model.data->gguf);
  TL_TRY(std::shared_ptr<Buffer> buffer, ctx.executor().device().import_host(bytes, owner));
  const TensorType type{*tensor->dtype, tensor->shape};
  return constant(type, Placement{std::move(buffer), contiguous_strides(type.shape), 0});
}

// Its bytes in the file may lie at any address, where kernels could not read them: then they are copied.
static Result<Tensor> load_safetensors(CallContext& ctx, const Model& model, const ModelNode& node) {
  TL_TRY(const SafetensorsTensor* tensor, model.data->safetensors->get_tensor(node.path));
  const auto bytes = std::as_bytes(model.data->safetensors->bytes(*tensor));
  const TensorType type{*tensor->dtype, tensor->shape};
  if (reinterpret_cast<uintptr_t>(bytes.data()) % 64 != 0) return ctx.executor().from_host(type, bytes);
  const auto owner = std::const_pointer_cast<SafetensorsModel>(model.data->safetensors);
  TL_TRY(std::shared_ptr<Buffer> buffer, ctx.executor().device().import_host(bytes, owner));
  return constant(type, Placement{std::move(buffer), contiguous_strides(type.shape), 0});
}

static Result<Tensor> find_or_load(CallContext& ctx, Model& model, ModelNode& node) {
  if (node.is_loaded.load(std::memory_order_acquire)) return node.loaded;
  const std::lock_guard lock(model.data->mutex);
  if (node.is_loaded.load(std::memory_order_relaxed)) return node.loaded;
  TL_TRY(node.loaded,
         model.gguf() != nullptr ? load_gguf(ctx, model, node) : load_safetensors(ctx, model, node));
  node.is_loaded.store(true, std::memory_order_release);
  return node.loaded;
}

Result<Tensor> load_tensor(CallContext& ctx, Model& model, ModelNode& node) {
  TL_TRY(Tensor tensor, find_or_load(ctx, model, node));
  if (ctx.tracer != nullptr) ctx.tracer->loaded(tensor);
  return tensor;
}

Result<Tensor> model_path_tensor(CallContext& ctx, const Value& path) {
  ModelPath& at = path.as<ModelPath>();
  const auto it = at.node.children.find("weight");
  if (it == at.node.children.end() || !it->second->is_tensor) {
    return fail(Code::BadProgram, "'{}' is a group of the model's tensors, want one tensor", at.node.path);
  }
  return load_tensor(ctx, at.model.as<Model>(), *it->second);
}

// Beside safetensors lies a tokenizer.json.
static Result<TokenizerSpec> spec_of(const Model& model) {
  if (model.gguf() != nullptr) return read_tokenizer_spec(*model.gguf());
  namespace fs = std::filesystem;
  std::error_code failed;
  const fs::path at(model.path());
  const fs::path folder = fs::is_directory(at, failed) ? at : at.parent_path();
  TL_TRY(const std::string text, read_whole_file((folder / "tokenizer.json").string()));
  const auto config = read_whole_file((folder / "tokenizer_config.json").string());
  return read_tokenizer_json(text, config.ok() ? config.value() : "");
}

Result<Value> model_tokenizer(const Value& value) {
  Model& model = value.as<Model>();
  if (model.tokenizer.is_empty()) {
    const std::lock_guard lock(model.data->mutex);
    if (model.data->tokenizer == nullptr) {
      TL_TRY(TokenizerSpec spec, spec_of(model));
      TL_TRY(Tokenizer tokenizer, Tokenizer::create(std::move(spec)));
      model.data->tokenizer = std::make_shared<const Tokenizer>(std::move(tokenizer));
      if (model.data->opened) model.data->opened(model.data->tokenizer);
    }
    model.tokenizer = Value(new TokenizerValue(model.data->tokenizer));
  }
  return model.tokenizer;
}

static i64 file_size(const Model& model) {
  if (model.gguf() != nullptr) return static_cast<i64>(model.gguf()->file_size());
  i64 bytes = 0;
  for (const MappedFile& file : model.data->safetensors->files())
    bytes += static_cast<i64>(file.bytes().size());
  return bytes;
}

Result<Value> model_field(CallContext& ctx, const Value& object, std::string_view name) {
  if (const auto* tokenizer = object.get_if<TokenizerValue>())
    return tokenizer_field(*tokenizer->tokenizer, name);
  if (const auto* path = object.get_if<ModelPath>()) return enter(ctx, path->model, path->node, name);
  Model& model = object.as<Model>();
  if (model.data->root.children.find(name) == model.data->root.children.end()) {
    if (name == "metadata") return Value(new Metadata(object));
    if (name == "tokenizer") return model_tokenizer(object);
    if (name == "path") return make_string(model.path());
    if (name == "file_size" || name == "bytes") return Value(file_size(model));
    if (name == "chat_template") {
      const GgufValue* text =
          model.gguf() != nullptr ? model.gguf()->find("tokenizer.chat_template") : nullptr;
      return make_string(std::string(text != nullptr ? text->as_string().value_or("") : ""));
    }
  }
  return enter(ctx, object, model.data->root, name);
}

Result<Value> model_path_index(CallContext& ctx, const Value& path, i64 index) {
  const ModelPath& at = path.as<ModelPath>();
  return enter(ctx, at.model, at.node, fmt::format("{}", index));
}

Result<Value> metadata_get(CallContext&, const Value& metadata, const Value& key, const Value& fallback) {
  TL_TRY(const std::string_view name, to_text(key));
  const Model& model = metadata.as<Metadata>().model.as<Model>();
  std::vector<std::string_view> keys;
  if (model.gguf() != nullptr) {
    if (const GgufValue* value = model.gguf()->find(name)) return value_of(*value);
    for (const GgufKeyValue& entry : model.gguf()->metadata()) keys.push_back(entry.key);
  } else {
    const auto& entries = model.data->safetensors->metadata();
    if (const auto it = entries.find(std::string(name)); it != entries.end()) return make_string(it->second);
    for (const auto& [key, value] : entries) keys.push_back(key);
  }
  if (!fallback.is_empty()) return fallback;
  const std::string_view close = closest_name(name, keys);
  return fail(Code::BadProgram, "{} has no metadata '{}'{}", model.path(), name,
              close.empty() ? "" : fmt::format(" (did you mean '{}'?)", close));
}

}  // namespace tl::lang
