// Models as programs see them: model.blk[0].attn_q.weight, model.metadata["..."], model.tokenizer. Tensors
// become constants over the mapped file when they are first asked for. What lies behind the values is shared
// by all threads of a program.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "tl/builtins/context.h"
#include "tl/io/gguf.h"
#include "tl/io/safetensors.h"
#include "tl/text/tokenizer/stream_decoder.h"
#include "tl/text/tokenizer/tokenizer.h"

namespace tl::lang {

// The tensors' names, cut at the dots, as a tree.
struct ModelNode {
  std::string path;
  std::map<std::string, std::unique_ptr<ModelNode>, std::less<>> children;
  bool is_tensor = false;  // the file has one of this whole name
  Tensor loaded;           // once is_loaded; written under ModelData::mutex
  std::atomic<bool> is_loaded{false};
};

struct ModelData {
  std::shared_ptr<const GgufFile> gguf;  // one of the two is there
  std::shared_ptr<const SafetensorsModel> safetensors;
  ModelNode root;
  std::mutex mutex;  // over the two that come late
  std::shared_ptr<const Tokenizer> tokenizer;
  std::function<void(std::shared_ptr<const Tokenizer>)> opened;  // Host's
};

struct Model : ObjectOf<ObjectKind::Model> {
  explicit Model(std::shared_ptr<ModelData> d) : data(std::move(d)) {}
  const GgufFile* gguf() const { return data->gguf.get(); }
  const std::string& path() const { return gguf() != nullptr ? gguf()->path() : data->safetensors->path(); }
  std::vector<std::string_view> tensor_names() const;
  const std::shared_ptr<ModelData> data;
  Value tokenizer;  // Empty until asked for
};
// "blk.0.attn_q", on the way to a tensor.
struct ModelPath : ObjectOf<ObjectKind::ModelPath> {
  ModelPath(Value m, ModelNode& n) : model(std::move(m)), node(n) {}
  const Value model;
  ModelNode& node;
};
struct Metadata : ObjectOf<ObjectKind::Metadata> {
  explicit Metadata(Value m) : model(std::move(m)) {}
  const Value model;
};
struct TokenizerValue : ObjectOf<ObjectKind::Tokenizer> {
  explicit TokenizerValue(std::shared_ptr<const Tokenizer> t) : tokenizer(std::move(t)) {}
  const std::shared_ptr<const Tokenizer> tokenizer;
};
struct StreamDecoderValue : ObjectOf<ObjectKind::StreamDecoder> {
  StreamDecoderValue(std::shared_ptr<const Tokenizer> t, StreamDecoder d)
      : tokenizer(std::move(t)), decoder(std::move(d)) {}
  StreamDecoderValue(std::shared_ptr<const Tokenizer> t, DecodeOptions options)
      : tokenizer(std::move(t)), decoder(*tokenizer, options) {}
  const std::shared_ptr<const Tokenizer> tokenizer;
  StreamDecoder decoder;
};

// A GGUF file, or safetensors (a file, an index, a folder).
Result<Value> open_model(CallContext& ctx, const std::string& path);
// A tokenizer.json, or the tokenizer of a GGUF file.
Result<Value> open_tokenizer(CallContext& ctx, const std::string& path);
Result<bool> has_metadata(const Model& model, std::string_view key);
// By its whole name, "blk.0.attn_q.weight"; null if there is none.
ModelNode* find_node(Model& model, std::string_view name);
Result<Tensor> load_tensor(CallContext& ctx, Model& model, ModelNode& node);
// The tensor a path names (or its ".weight").
Result<Tensor> model_path_tensor(CallContext& ctx, const Value& path);
Result<Value> model_tokenizer(const Value& model);
// A field of a Model, ModelPath or Tokenizer.
Result<Value> model_field(CallContext& ctx, const Value& object, std::string_view name);
Result<Value> model_path_index(CallContext& ctx, const Value& path, i64 index);
// `fallback` is Empty where a missing key fails.
Result<Value> metadata_get(CallContext& ctx, const Value& metadata, const Value& key, const Value& fallback);

}  // namespace tl::lang
