// Models, tokenizers and caches.
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/index.h"
#include "tl/builtins/kv_cache.h"
#include "tl/builtins/model.h"
#include "tl/builtins/npy_writer.h"
#include "tl/diag/suggest.h"
#include "tl/text/chat_template/chat_template.h"

namespace tl::lang {
namespace {

constexpr i64 kMaxLayers = 1 << 16;
constexpr i64 kMaxSequences = 1 << 20;

template <typename T>
Result<T*> expect(const Value& value, std::string_view builtin, std::string_view wanted) {
  if (T* object = value.get_if<T>()) return object;
  return fail(Code::BadProgram, "{}: found {}, want a {}", builtin, type_name(value), wanted);
}

Result<Value> native_load_model(CallContext& ctx, std::span<Value> args) {
  return open_model(ctx, args[0].as<String>().text);
}

Result<Value> native_load_tokenizer(CallContext& ctx, std::span<Value> args) {
  return open_tokenizer(ctx, args[0].as<String>().text);
}

Result<Value> native_get_tensor(CallContext& ctx, std::span<Value> args) {
  TL_TRY(Model * model, expect<Model>(args[0], "get_tensor", "Model"));
  const std::string& name = args[1].as<String>().text;
  ModelNode* node = find_node(*model, name);
  if (node == nullptr || !node->is_tensor) {
    const std::string_view close = closest_name(name, model->tensor_names());
    return fail(Code::BadProgram, "get_tensor: the model has no tensor '{}'{}", name,
                close.empty() ? "" : fmt::format(" (did you mean '{}'?)", close));
  }
  TL_TRY(Tensor tensor, load_tensor(ctx, *model, *node));
  return make_tensor(std::move(tensor));
}

Result<Value> native_has_tensor(CallContext&, std::span<Value> args) {
  TL_TRY(Model * model, expect<Model>(args[0], "has_tensor", "Model"));
  const ModelNode* node = find_node(*model, args[1].as<String>().text);
  return Value(node != nullptr && node->is_tensor);
}

Result<Value> native_tensor_names(CallContext&, std::span<Value> args) {
  TL_TRY(Model * model, expect<Model>(args[0], "tensor_names", "Model"));
  std::vector<Value> names;
  for (const std::string_view name : model->tensor_names()) names.push_back(make_string(std::string(name)));
  return make_list(std::move(names));
}

Result<Value> native_has_metadata(CallContext&, std::span<Value> args) {
  TL_TRY(Model * model, expect<Model>(args[0], "has_metadata", "Model"));
  TL_TRY(const bool has, has_metadata(*model, args[1].as<String>().text));
  return Value(has);
}

Result<const Tokenizer*> tokenizer_of(const Value& value, std::string_view builtin) {
  Value tokenizer = value;
  if (value.is(ObjectKind::Model)) {
    TL_TRY(tokenizer, model_tokenizer(value));
  }
  TL_TRY(TokenizerValue * t, expect<TokenizerValue>(tokenizer, builtin, "Tokenizer"));
  return t->tokenizer.get();  // the model or the argument keeps it
}

Result<Value> encode(const Value& tokenizer, const Value& text, const EncodeOptions& options,
                     std::string_view builtin) {
  TL_TRY(const Tokenizer* t, tokenizer_of(tokenizer, builtin));
  TL_TRY(const std::vector<TokenId> ids, t->encode(text.as<String>().text, options));
  std::vector<Value> out;
  out.reserve(ids.size());
  for (const TokenId id : ids) out.emplace_back(static_cast<i64>(id));
  return make_list(std::move(out));
}

Result<Value> native_encode(CallContext&, std::span<Value> args) {
  TL_TRY(const Tokenizer* t, tokenizer_of(args[0], "encode"));
  EncodeOptions options;
  options.add_bos = args[2].is_empty() ? t->spec().add_bos : args[2].is_bool() && args[2].as_bool();
  options.add_eos = args[3].is_empty() ? t->spec().add_eos : args[3].is_bool() && args[3].as_bool();
  options.parse_special = args[4].as_bool();
  return encode(args[0], args[1], options, "encode");
}

// The first implementation's form: special tokens in front and behind as the model was trained, and those
// spelled in the text are those tokens.
Result<Value> native_tokenize(CallContext&, std::span<Value> args) {
  TL_TRY(const Tokenizer* t, tokenizer_of(args[0], "tokenize"));
  const bool special = args[2].as_bool();
  return encode(args[0], args[1], {special && t->spec().add_bos, special && t->spec().add_eos, true},
                "tokenize");
}

Result<std::vector<TokenId>> ids_of(CallContext& ctx, const Tokenizer& t, const Value& value,
                                    std::string_view builtin) {
  auto ints = to_ints(ctx, value);
  if (!ints.ok()) return std::move(ints).error().within(fmt::format("{}: argument 'ids'", builtin));
  std::vector<TokenId> ids;
  for (const i64 i : *ints) {
    if (i < 0 || i >= static_cast<i64>(t.size()))
      return fail(Code::BadProgram, "{}: {} is not a token (there are {})", builtin, i, t.size());
    ids.push_back(static_cast<TokenId>(i));
  }
  return ids;
}

Result<Value> native_decode(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tokenizer* t, tokenizer_of(args[0], "decode"));
  TL_TRY(const std::vector<TokenId> ids, ids_of(ctx, *t, args[1], "decode"));
  TL_TRY(std::string text, t->decode(ids, {.skip_special = args[2].as_bool()}));
  return make_string(std::move(text));
}

Result<Value> native_piece(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tokenizer* t, tokenizer_of(args[0], "piece"));
  TL_TRY(const std::vector<TokenId> ids, ids_of(ctx, *t, args[1], "piece"));
  return make_string(std::string(t->piece(ids[0])));
}

Result<Value> native_find_token(CallContext&, std::span<Value> args) {
  TL_TRY(const Tokenizer* t, tokenizer_of(args[0], "find_token"));
  const TokenId id = t->find(args[1].as<String>().text);
  return Value(id == kNoToken ? i64{-1} : static_cast<i64>(id));
}

Result<Value> native_add_bos(CallContext&, std::span<Value> args) {
  TL_TRY(const Tokenizer* t, tokenizer_of(args[0], "add_bos"));
  return Value(t->spec().add_bos);
}

// A message is [role, text], or a struct with the fields role and content.
Result<ChatMessage> message_of(CallContext& ctx, const Value& value) {
  Value role, content;
  if (value.is(ObjectKind::Struct)) {
    TL_TRY(role, get_field(ctx, value, "role"));
    TL_TRY(content, get_field(ctx, value, "content"));
  } else {
    TL_TRY(const std::vector<Value> parts, to_items(ctx, value));
    if (parts.size() != 2)
      return fail(Code::BadProgram, "chat: a message has {} parts, want [role, text]", parts.size());
    role = parts[0], content = parts[1];
  }
  TL_TRY(const std::string_view who, to_text(role));
  TL_TRY(const std::string_view what, to_text(content));
  return ChatMessage{std::string(who), std::string(what)};
}

Result<Value> native_chat(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tokenizer* t, tokenizer_of(args[0], "chat"));
  const TokenizerSpec& spec = t->spec();
  if (spec.chat_template.empty()) return fail(Code::BadProgram, "chat: the model has no chat template");
  std::vector<ChatMessage> messages;
  TL_TRY(const std::vector<Value> given, to_items(ctx, args[1]));
  for (const Value& value : given) {
    TL_TRY(ChatMessage message, message_of(ctx, value));
    messages.push_back(std::move(message));
  }
  TL_TRY(const ChatTemplate chat, ChatTemplate::parse(spec.chat_template));
  ChatOptions options;
  options.add_generation_prompt = args[2].as_bool();
  if (spec.bos != kNoToken) options.bos = t->piece(spec.bos);
  if (spec.eos != kNoToken) options.eos = t->piece(spec.eos);
  TL_TRY(std::string text, chat.render(messages, options));
  return make_string(std::move(text));
}

Result<Value> native_is_eog(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tokenizer* t, tokenizer_of(args[0], "is_eog"));
  TL_TRY(const std::vector<TokenId> ids, ids_of(ctx, *t, args[1], "is_eog"));
  return Value(ids.size() == 1 && t->is_end(ids[0]));
}

Result<Value> native_stream_decoder(CallContext&, std::span<Value> args) {
  Value tokenizer = args[0];
  if (tokenizer.is(ObjectKind::Model)) {
    TL_TRY(tokenizer, model_tokenizer(tokenizer));
  }
  TL_TRY(TokenizerValue * t, expect<TokenizerValue>(tokenizer, "stream_decoder", "Tokenizer"));
  return Value(new StreamDecoderValue(t->tokenizer, {.skip_special = args[1].as_bool()}));
}

Result<Value> native_feed(CallContext& ctx, std::span<Value> args) {
  TL_TRY(StreamDecoderValue * d, expect<StreamDecoderValue>(args[0], "feed", "StreamDecoder"));
  TL_TRY(const std::vector<TokenId> ids, ids_of(ctx, *d->tokenizer, args[1], "feed"));
  std::string out;
  for (const TokenId id : ids) {
    TL_TRY(const std::string part, d->decoder.feed(id));
    out += part;
  }
  return make_string(std::move(out));
}

Result<Value> native_finish(CallContext&, std::span<Value> args) {
  if (auto* file = args[0].get_if<NpyWriterValue>()) {
    TL_TRY_DO(file->close());
    return Value::unit();
  }
  TL_TRY(StreamDecoderValue * d, expect<StreamDecoderValue>(args[0], "finish", "StreamDecoder"));
  return make_string(d->decoder.finish());
}

Result<Value> native_kv_cache(CallContext&, std::span<Value> args) {
  const i64 layers = args[0].as_int(), capacity = args[1].as_int();
  if (layers < 1 || layers > kMaxLayers) return fail(Code::BadProgram, "kv_cache: {} layers", layers);
  if (capacity < 0) return fail(Code::BadProgram, "kv_cache: argument 'capacity' is {}", capacity);
  auto* cache = new KVCache;
  Value value(cache);
  const i64 sequences = args[3].as_int();
  if (sequences < 0 || sequences > kMaxSequences)
    return fail(Code::BadProgram, "kv_cache: {} sequences", sequences);
  cache->sequences = sequences;
  cache->layers.resize(static_cast<size_t>(layers));
  cache->clear();
  cache->capacity = capacity;
  cache->has_dtype = !args[2].is_empty();
  if (cache->has_dtype) {
    TL_TRY(cache->dtype, to_dtype(args[2]));
  }
  return value;
}

Result<Value> layer_tensor(CallContext& ctx, std::span<Value> args, bool keys) {
  TL_TRY(KVCache * cache, expect<KVCache>(args[0], keys ? "get_k" : "get_v", "KVCache"));
  return layer_of_cache(ctx, *cache, args[1], keys);
}
Result<Value> native_k(CallContext& ctx, std::span<Value> args) {
  return layer_tensor(ctx, args, true);
}
Result<Value> native_v(CallContext& ctx, std::span<Value> args) {
  return layer_tensor(ctx, args, false);
}

Result<Value> native_length(CallContext&, std::span<Value> args) {
  if (!args[0].is(ObjectKind::KVCache)) {
    return fail(Code::BadProgram, "length: only a KVCache has one, found {}: len(x) is how many items x has",
                type_name(args[0]));
  }
  TL_TRY(KVCache * cache, expect<KVCache>(args[0], "length", "KVCache"));
  return Value(cache->length());
}

Result<Value> native_lengths(CallContext& ctx, std::span<Value> args) {
  TL_TRY(KVCache * cache, expect<KVCache>(args[0], "lengths", "KVCache"));
  if (cache->sequences == 0)
    return fail(Code::BadProgram, "lengths: a KVCache without an axis of sequences has a length");
  TL_TRY(Tensor lengths, cache->lengths_of(ctx.executor(), cache->layers[0]));
  return make_tensor(std::move(lengths));
}

Result<Value> native_sequences(CallContext&, std::span<Value> args) {
  TL_TRY(KVCache * cache, expect<KVCache>(args[0], "sequences", "KVCache"));
  return Value(cache->sequences);
}

Result<Value> native_sequence(CallContext& ctx, std::span<Value> args) {
  TL_TRY(KVCache * cache, expect<KVCache>(args[0], "sequence", "KVCache"));
  return sequence_of_cache(ctx, *cache, args[1].as_int());
}

Result<Value> native_set_sequence(CallContext& ctx, std::span<Value> args) {
  TL_TRY(KVCache * cache, expect<KVCache>(args[0], "set_sequence", "KVCache"));
  TL_TRY(KVCache * from, expect<KVCache>(args[2], "set_sequence", "KVCache"));
  TL_TRY_DO(set_sequence(ctx, *cache, args[1].as_int(), *from));
  return Value::unit();
}

Result<Value> native_truncate(CallContext& ctx, std::span<Value> args) {
  TL_TRY(KVCache * cache, expect<KVCache>(args[0], "truncate", "KVCache"));
  TL_TRY_DO(truncate_cache(ctx, *cache, args[1].as_int(), args[2]));
  return Value::unit();
}

Result<Value> native_append_token(CallContext& ctx, std::span<Value> args) {
  TL_TRY(std::vector<Value> items, to_items(ctx, args[0]));
  items.push_back(args[1]);
  return make_list(std::move(items));
}

Result<Value> native_int_to_tokenids(CallContext&, std::span<Value> args) {
  return make_list({args[0]});
}

const Builtin kRows[] = {
    {"add_bos", "(tokenizer: any) -> bool", "True if the model was trained with a BOS token in front.", "",
     Effect::Pure, native_add_bos},
    {"append_token", "(ids: any, token: any) -> list", "A new list of ids with one more.",
     "append_token([1, 2], 3)  //~ [1, 2, 3]", Effect::Pure, native_append_token},
    {"chat", "(tokenizer: any, messages: any, generation_prompt: bool = true) -> string",
     "A conversation, a list of [role, text], as the text the model was trained on.", "", Effect::Pure,
     native_chat},
    {"decode", "(tokenizer: any, ids: any, skip_special: bool = false) -> string", "The text of token ids.",
     "", Effect::Pure, native_decode},
    {"detokenize", "(tokenizer: any, ids: any, skip_special: bool = false) -> string", "The same as decode.",
     "", Effect::Pure, native_decode},
    {"detokenize_incremental", "(tokenizer: any, ids: any, skip_special: bool = true) -> string",
     "The whole text of token ids.", "", Effect::Pure, native_decode},
    {"detokenize_single", "(tokenizer: any, id: any, skip_special: bool = false) -> string",
     "The text of one token.", "", Effect::Pure, native_decode},
    {"encode",
     "(tokenizer: any, text: string, add_bos: any = none, add_eos: any = none, parse_special: bool = false) "
     "-> list",
     "Token ids of a text; BOS and EOS as the model was trained unless said otherwise.", "", Effect::Pure,
     native_encode},
    {"feed", "(decoder: any, ids: any) -> string",
     "What a stream decoder can show now that more tokens came.", "", Effect::Mutates, native_feed},
    {"find_token", "(tokenizer: any, piece: string) -> int", "The token spelled so, or -1.", "", Effect::Pure,
     native_find_token},
    {"finish", "(decoder: any) -> string", "What a stream decoder has left at the end.", "", Effect::Mutates,
     native_finish},
    {"get_k", "(cache: any, layer: int) -> tensor", "The keys of a layer.", "", Effect::Pure, native_k},
    {"get_tensor", "(model: any, name: string) -> tensor", "A tensor of a model by its whole name.", "",
     Effect::Pure, native_get_tensor},
    {"get_v", "(cache: any, layer: int) -> tensor", "The values of a layer.", "", Effect::Pure, native_v},
    {"has_metadata", "(model: any, key: string) -> bool", "True if the model file has this key.", "",
     Effect::Pure, native_has_metadata},
    {"has_tensor", "(model: any, name: string) -> bool", "True if the model has a tensor of this name.", "",
     Effect::Pure, native_has_tensor},
    {"int_to_tokenids", "(id: int) -> list", "A list of one id.", "int_to_tokenids(5)  //~ [5]", Effect::Pure,
     native_int_to_tokenids},
    {"is_eog", "(tokenizer: any, token: any) -> bool", "True for tokens with which a model ends its answer.",
     "", Effect::Pure, native_is_eog},
    {"is_end", "(tokenizer: any, token: any) -> bool", "The same as is_eog.", "", Effect::Pure,
     native_is_eog},
    {"k", "(cache: any, layer: int) -> tensor", "The same as get_k.", "", Effect::Pure, native_k},
    {"kv_cache", "(layers: int, capacity: int = 0, dtype: any = none, sequences: int = 0) -> KVCache",
     "An empty cache; storage is reserved for `capacity` positions (4,096 where 0). With `sequences` its "
     "tensors "
     "have an axis for several in front, each of its own length.",
     "length(kv_cache(2))  //~ 0", Effect::Pure, native_kv_cache},
    {"length", "(cache: any) -> int", "How many positions a cache holds; of several sequences the longest.",
     "length(kv_cache(1))  //~ 0", Effect::Pure, native_length},
    {"lengths", "(cache: any) -> tensor", "How many positions each sequence of a cache holds, int32.",
     "lengths(kv_cache(1, sequences: 2))  //~ [0 0] shape=[2] int32", Effect::Pure, native_lengths},
    {"load_model", "(path: string) -> Model",
     "Opens a GGUF file, or safetensors; its tensors are mapped, not read.", "", Effect::Io,
     native_load_model},
    {"load_model_f16", "(path: string) -> Model", "The same as load_model.", "", Effect::Io,
     native_load_model},
    {"load_model_f32", "(path: string) -> Model", "The same as load_model.", "", Effect::Io,
     native_load_model},
    {"load_tokenizer", "(path: string) -> Tokenizer", "The tokenizer of a tokenizer.json, or of a GGUF file.",
     "", Effect::Io, native_load_tokenizer},
    {"load_weight_cache_f16", "(path: string, capacity: int = 0) -> Model",
     "The same as load_model: tensors are mapped, so there is no capacity to choose.", "", Effect::Io,
     native_load_model},
    {"load_weight_cache_f32", "(path: string, capacity: int = 0) -> Model", "The same as load_model.", "",
     Effect::Io, native_load_model},
    {"load_weight_cache_gguf_f16", "(path: string, capacity: int = 0) -> Model", "The same as load_model.",
     "", Effect::Io, native_load_model},
    {"load_weight_cache_gguf_f32", "(path: string, capacity: int = 0) -> Model", "The same as load_model.",
     "", Effect::Io, native_load_model},
    {"piece", "(tokenizer: any, id: any) -> string", "A token as the vocabulary spells it.", "", Effect::Pure,
     native_piece},
    {"sequence", "(cache: any, sequence: int) -> KVCache",
     "A cache of its own with what one sequence of a cache holds.",
     "length(sequence(kv_cache(1, sequences: 2), 1))  //~ 0", Effect::Pure, native_sequence},
    {"sequences", "(cache: any) -> int",
     "How many sequences a cache has an axis for; 0: one, without an axis.",
     "sequences(kv_cache(1, sequences: 3))  //~ 3", Effect::Pure, native_sequences},
    {"set_sequence", "(cache: any, sequence: int, from: any) -> unit",
     "Puts what a cache of one sequence holds in the place of one of several.",
     "{ let c = kv_cache(1, sequences: 2); c.set_sequence(1, kv_cache(1)); length(c) }  //~ 0",
     Effect::Mutates, native_set_sequence},
    {"stream_decoder", "(tokenizer: any, skip_special: bool = true) -> StreamDecoder",
     "Turns tokens into text while they come; see feed and finish.", "", Effect::Pure, native_stream_decoder},
    {"stream", "(tokenizer: any, skip_special: bool = true) -> StreamDecoder", "The same as stream_decoder.",
     "", Effect::Pure, native_stream_decoder},
    {"tensor_names", "(model: any) -> list", "The names of all tensors, in the file's order.", "",
     Effect::Pure, native_tensor_names},
    {"tokenize", "(tokenizer: any, text: string, add_special: bool = false) -> list",
     "Token ids of a text, as the first implementation's tokenize gave them.", "", Effect::Pure,
     native_tokenize},
    {"truncate", "(cache: any, length: int, sequence: any = none) -> unit",
     "Keeps the first positions of a cache; of several sequences of all, or of one of them.", "",
     Effect::Mutates, native_truncate},
    {"v", "(cache: any, layer: int) -> tensor", "The same as get_v.", "", Effect::Pure, native_v},
};

}  // namespace

std::span<const Builtin> model_natives() {
  return kRows;
}

}  // namespace tl::lang
