#include "tl/builtins/model.h"

#include <algorithm>

#include "tl/builtins/convert.h"
#include "tl/diag/suggest.h"
#include "tl/text/tokenizer/tokenizer_metadata.h"

namespace tl::lang {
namespace {

void add_to_tree(ModelNode& root, const GgufTensor& tensor) {
  ModelNode* node = &root;
  std::string_view rest = tensor.name;
  while (true) {
    const size_t dot = rest.find('.');
    std::unique_ptr<ModelNode>& child = node->children[std::string(rest.substr(0, dot))];
    if (child == nullptr) {
      child = std::make_unique<ModelNode>();
      child->path = tensor.name.substr(0, dot == std::string_view::npos
                                              ? dot
                                              : static_cast<size_t>(rest.data() - tensor.name.data()) + dot);
    }
    node = child.get();
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  node->tensor = &tensor;
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
  if (child.tensor == nullptr) return Value(new ModelPath(model, child));
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

Result<Value> open_model(CallContext& ctx, const std::string& path) {
  TL_TRY(std::shared_ptr<const GgufFile> file, GgufFile::open(path));
  auto data = std::make_shared<ModelData>();
  data->file = std::move(file);
  data->opened = ctx.host.opened;
  for (const GgufTensor& tensor : data->file->tensors()) add_to_tree(data->root, tensor);
  return Value(new Model(std::move(data)));
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

static Result<Tensor> find_or_load(CallContext& ctx, Model& model, ModelNode& node) {
  if (node.is_loaded.load(std::memory_order_acquire)) return node.loaded;
  const std::lock_guard lock(model.data->mutex);
  if (node.is_loaded.load(std::memory_order_relaxed)) return node.loaded;
  TL_TRY(const GgufTensor* tensor, model.file().get_tensor(node.tensor->name));
  const auto bytes = std::as_bytes(model.file().bytes(*tensor));
  const auto owner = std::const_pointer_cast<GgufFile>(model.data->file);
  TL_TRY(std::shared_ptr<Buffer> buffer, ctx.executor().device().import_host(bytes, owner));
  const TensorType type{*tensor->dtype, tensor->shape};
  node.loaded = constant(type, Placement{std::move(buffer), contiguous_strides(type.shape), 0});
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
  if (it == at.node.children.end() || it->second->tensor == nullptr) {
    return fail(Code::BadProgram, "'{}' is a group of the model's tensors, want one tensor", at.node.path);
  }
  return load_tensor(ctx, at.model.as<Model>(), *it->second);
}

Result<Value> model_tokenizer(const Value& value) {
  Model& model = value.as<Model>();
  if (model.tokenizer.is_empty()) {
    const std::lock_guard lock(model.data->mutex);
    if (model.data->tokenizer == nullptr) {
      TL_TRY(TokenizerSpec spec, read_tokenizer_spec(model.file()));
      TL_TRY(Tokenizer tokenizer, Tokenizer::create(std::move(spec)));
      model.data->tokenizer = std::make_shared<const Tokenizer>(std::move(tokenizer));
      if (model.data->opened) model.data->opened(model.data->tokenizer);
    }
    model.tokenizer = Value(new TokenizerValue(model.data->tokenizer));
  }
  return model.tokenizer;
}

Result<Value> model_field(CallContext& ctx, const Value& object, std::string_view name) {
  if (const auto* tokenizer = object.get_if<TokenizerValue>())
    return tokenizer_field(*tokenizer->tokenizer, name);
  if (const auto* path = object.get_if<ModelPath>()) return enter(ctx, path->model, path->node, name);
  Model& model = object.as<Model>();
  if (model.data->root.children.find(name) == model.data->root.children.end()) {
    if (name == "metadata") return Value(new Metadata(object));
    if (name == "tokenizer") return model_tokenizer(object);
    if (name == "path") return make_string(model.file().path());
    if (name == "file_size" || name == "bytes") return Value(static_cast<i64>(model.file().file_size()));
    if (name == "chat_template") {
      const GgufValue* text = model.file().find("tokenizer.chat_template");
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
  const GgufFile& file = metadata.as<Metadata>().model.as<Model>().file();
  if (const GgufValue* value = file.find(name)) return value_of(*value);
  if (!fallback.is_empty()) return fallback;
  std::vector<std::string_view> keys;
  for (const GgufKeyValue& entry : file.metadata()) keys.push_back(entry.key);
  const std::string_view close = closest_name(name, keys);
  return fail(Code::BadProgram, "{} has no metadata '{}'{}", file.path(), name,
              close.empty() ? "" : fmt::format(" (did you mean '{}'?)", close));
}

}  // namespace tl::lang
