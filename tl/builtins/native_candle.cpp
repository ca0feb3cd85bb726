// cndl_*: the names under which the first implementation called another library. They are the builtins of the
// language in that library's order of arguments, and tensors in safetensors and GGUF files.
#include "tl/builtins/chain.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/io/safetensors.h"

namespace tl::lang {
namespace {

template <const char* name>
Result<Value> unary(CallContext& ctx, std::span<Value> args) {
  return call_op(ctx, name, {args[0]});
}
template <const char* name>
Result<Value> binary(CallContext& ctx, std::span<Value> args) {
  return call_op(ctx, name, {args[0], args[1]});
}

constexpr char kGelu[] = "gelu", kSilu[] = "silu", kRelu[] = "relu", kTanh[] = "tanh", kMatmul[] = "matmul",
               kSoftmax[] = "softmax", kLogSoftmax[] = "log_softmax", kReshape[] = "reshape";

Result<Value> native_transpose(CallContext& ctx, std::span<Value> args) {
  return call_op(ctx, "transpose", {args[0], args[1], args[2]});
}

// The shape is that of the last axes, which are the rows.
Result<Value> native_layer_norm(CallContext& ctx, std::span<Value> args) {
  const Tensor x = *tensor_of(args[0]);
  std::vector<i64> shape = {x.rank() == 0 ? 1 : x.shape().back()};
  if (!args[1].is_empty()) {
    TL_TRY(shape, to_ints(ctx, args[1]));
  }
  const int lead = x.rank() - static_cast<int>(shape.size());
  bool fits = lead >= 0 && !shape.empty();
  i64 width = 1;
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    fits = shape[i] == x.shape()[lead + static_cast<int>(i)];
    width *= shape[i];
  }
  if (!fits) return fail(Code::BadProgram, "argument 'shape' is not how {} ends", to_string(x.shape()));
  std::vector<i64> rows;
  for (int i = 0; i < lead; ++i) rows.push_back(x.shape()[i]);
  rows.push_back(width);
  Chain c(ctx);
  Value out = c.op("layer_norm", {c.op("reshape", {args[0], make_ints(rows)}), args[4]});
  out = c.op("reshape", {out, make_ints(x.shape())});
  for (const size_t i : {size_t{2}, size_t{3}}) {
    if (args[i].is_empty()) continue;
    TL_TRY(const Tensor t, to_tensor(ctx, args[i], x.dtype()));
    out = i == 2 ? c.mul(out, make_tensor(t)) : c.add(out, make_tensor(t));
  }
  return c.give(out);
}

Result<Value> native_rms_norm(CallContext& ctx, std::span<Value> args) {
  const Value eps = args[2];
  const Value given[] = {args[0], args[1], eps};
  return call_positional(*find_builtin("rms_norm"), ctx, given);
}

Result<Value> native_embedding(CallContext& ctx, std::span<Value> args) {
  const Value given[] = {args[1], args[0]};
  return call_positional(*find_builtin("embedding"), ctx, given);
}

Result<Value> native_rope(CallContext& ctx, std::span<Value> args) {
  return call_op(ctx, "rope", {args[0], args[1], args[2], Value(), Value(), make_string("neox")});
}

// ---- Files ------------------------------------------------------------------------------------------------

Result<Value> to_value(CallContext& ctx, const SafetensorsModel& model, const SafetensorsTensor& tensor) {
  TL_TRY_DO(model.get_tensor(tensor.name));
  TL_TRY(Tensor made, ctx.executor().from_host(TensorType{*tensor.dtype, tensor.shape},
                                               std::as_bytes(model.bytes(tensor))));
  return make_tensor(std::move(made));
}

bool looks_like_path(std::string_view text, std::string_view ending) {
  return text.size() >= ending.size() && text.substr(text.size() - ending.size()) == ending;
}

// A path and a name, in either order.
std::pair<std::string, std::string> path_and_name(const Value& a, const Value& b, std::string_view ending) {
  const std::string &x = a.as<String>().text, &y = b.as<String>().text;
  return looks_like_path(y, ending) && !looks_like_path(x, ending) ? std::pair(y, x) : std::pair(x, y);
}

Result<Value> native_load_safetensor(CallContext& ctx, std::span<Value> args) {
  const auto [path, name] = path_and_name(args[0], args[1], ".safetensors");
  TL_TRY(const auto model, SafetensorsModel::open(path));
  TL_TRY(const SafetensorsTensor* tensor, model->get_tensor(name));
  return to_value(ctx, *model, *tensor);
}

Result<Value> native_list_safetensors(CallContext&, std::span<Value> args) {
  TL_TRY(const auto model, SafetensorsModel::open(args[0].as<String>().text));
  std::vector<Value> names;
  for (const SafetensorsTensor& t : model->tensors()) names.push_back(make_string(t.name));
  return make_list(std::move(names));
}

Result<Value> native_load_model_safetensor(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const auto model, SafetensorsModel::open(args[0].as<String>().text));
  std::vector<Value> pairs;
  for (const SafetensorsTensor& t : model->tensors()) {
    TL_TRY(const Value tensor, to_value(ctx, *model, t));
    pairs.push_back(make_tuple({make_string(t.name), tensor}));
  }
  return make_list(std::move(pairs));
}

struct Named {
  std::string name;
  HostTensor host;
};

Result<Named> read_named(CallContext& ctx, std::string name, const Value& value) {
  TL_TRY(Tensor t, to_tensor(ctx, value));
  if (is_quantised(t.dtype())) {
    TL_TRY(const Value wide, call_op(ctx, "dequantize", {make_tensor(t)}));
    t = *tensor_of(wide);
  }
  TL_TRY(HostTensor host, ctx.executor().read(t));
  return Named{std::move(name), std::move(host)};
}

Result<Value> write(const std::string& path, std::span<const Named> tensors) {
  std::vector<SafetensorsEntry> entries;
  for (const Named& t : tensors) {
    const auto* bytes = reinterpret_cast<const u8*>(t.host.bytes.data());
    entries.push_back({t.name, t.host.type.dtype, t.host.type.shape, {bytes, t.host.bytes.size()}});
  }
  TL_TRY_DO(write_safetensors(path, entries, {}));
  return Value::unit();
}

Result<Value> native_save_safetensor(CallContext& ctx, std::span<Value> args) {
  const auto [path, name] = path_and_name(args[1], args[2], ".safetensors");
  TL_TRY(Named named, read_named(ctx, name, args[0]));
  return write(path, {&named, 1});
}

// A model's tensors, or pairs of names and tensors as cndl_load_model_safetensor gives them.
Result<Value> native_save_model_safetensor(CallContext& ctx, std::span<Value> args) {
  const bool path_first = args[0].is(ObjectKind::String);
  const Value &what = args[path_first ? 1 : 0], &path = args[path_first ? 0 : 1];
  TL_TRY(const std::string_view path_text, to_text(path));
  std::vector<Named> tensors;
  if (what.is(ObjectKind::Model)) {
    TL_TRY(const Value names, call_positional(*find_builtin("tensor_names"), ctx, {&what, 1}));
    for (const Value& name : names.as<List>().items) {
      const Value given[] = {what, name};
      TL_TRY(const Value tensor, call_positional(*find_builtin("get_tensor"), ctx, given));
      TL_TRY(Named named, read_named(ctx, name.as<String>().text, tensor));
      tensors.push_back(std::move(named));
    }
  } else {
    TL_TRY(const std::vector<Value> pairs, to_items(ctx, what));
    for (const Value& pair : pairs) {
      TL_TRY(const std::vector<Value> parts, to_items(ctx, pair));
      if (parts.size() != 2 || !parts[0].is(ObjectKind::String))
        return fail(Code::BadProgram, "found {}, want pairs of a name and a tensor", type_name(pair));
      TL_TRY(Named named, read_named(ctx, parts[0].as<String>().text, parts[1]));
      tensors.push_back(std::move(named));
    }
  }
  return write(std::string(path_text), tensors);
}

Result<Value> native_load_gguf_tensor(CallContext& ctx, std::span<Value> args) {
  const auto [path, name] = path_and_name(args[0], args[1], ".gguf");
  const Value file = make_string(path);
  TL_TRY(const Value opened, call_positional(*find_builtin("load_model"), ctx, {&file, 1}));
  const Value given[] = {opened, make_string(name)};
  TL_TRY(const Value tensor, call_positional(*find_builtin("get_tensor"), ctx, given));
  if (!is_quantised(tensor_of(tensor)->dtype())) return tensor;
  return call_op(ctx, "dequantize", {tensor});
}

Result<Value> native_list_gguf_tensors(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Value opened, call_positional(*find_builtin("load_model"), ctx, args.first(1)));
  return call_positional(*find_builtin("tensor_names"), ctx, {&opened, 1});
}

const Builtin kRows[] = {
    {"cndl_embedding", "(ids: any, table: any) -> tensor", "The same as embedding(table, ids).",
     "cndl_embedding([1], [[1.0], [2.0]])  //~ [[2.0000]] shape=[1, 1] float32", Effect::Pure,
     native_embedding},
    {"cndl_gelu", "(x: tensor) -> tensor", "The same as gelu.",
     "cndl_gelu([0.0])  //~ [0.0000] shape=[1] float32", Effect::Pure, unary<kGelu>},
    {"cndl_layer_norm",
     "(x: tensor, shape: any = none, weight: any = none, bias: any = none, eps: float = 1e-5) -> tensor",
     "layer_norm over the last axes, whose shape is given, then times weight plus bias.",
     "cndl_layer_norm([1.0, 3.0], [2])  //~ [-1.0000 1.0000] shape=[2] float32", Effect::Pure,
     native_layer_norm},
    {"cndl_list_gguf_tensors", "(path: string) -> list", "The names of the tensors in a GGUF file.", "",
     Effect::Io, native_list_gguf_tensors},
    {"cndl_list_safetensors", "(path: string) -> list", "The names of the tensors in a safetensors file.", "",
     Effect::Io, native_list_safetensors},
    {"cndl_load_gguf_tensor", "(path: string, name: string) -> tensor",
     "A tensor of a GGUF file, expanded if it is quantised.", "", Effect::Io, native_load_gguf_tensor},
    {"cndl_load_model_safetensor", "(path: string) -> list",
     "All tensors of a safetensors file, as pairs of name and tensor.", "", Effect::Io,
     native_load_model_safetensor},
    {"cndl_load_safetensor", "(path: string, name: string) -> tensor", "A tensor of a safetensors file.", "",
     Effect::Io, native_load_safetensor},
    {"cndl_log_softmax", "(x: tensor, axis: int = -1) -> tensor", "The same as log_softmax.",
     "cndl_log_softmax([0.0, 0.0], 0)  //~ [-0.6931 -0.6931] shape=[2] float32", Effect::Pure,
     binary<kLogSoftmax>},
    {"cndl_matmul", "(a: tensor, b: tensor) -> tensor", "The same as matmul.",
     "cndl_matmul([[2.0]], [[3.0]])  //~ [[6.0000]] shape=[1, 1] float32", Effect::Pure, binary<kMatmul>},
    {"cndl_relu", "(x: tensor) -> tensor", "The same as relu.",
     "cndl_relu([-1.0, 2.0])  //~ [0.0000 2.0000] shape=[2] float32", Effect::Pure, unary<kRelu>},
    {"cndl_reshape", "(x: tensor, shape: ints) -> tensor", "The same as reshape.",
     "shape(cndl_reshape([1.0, 2.0], [2, 1]))  //~ [2, 1]", Effect::Pure, binary<kReshape>},
    {"cndl_rms_norm", "(x: tensor, weight: any = none, eps: float = 1e-5) -> tensor", "The same as rms_norm.",
     "cndl_rms_norm([3.0, 4.0])  //~ [0.8485 1.1314] shape=[2] float32", Effect::Pure, native_rms_norm},
    {"cndl_rope", "(x: tensor, position: tensor = 0, theta: float = 10000.0) -> tensor",
     "rope that turns each element of the first half of a head with that of the second.",
     "cndl_rope([[[1.0, 0.0]]], 1)  //~ [[[0.5403 0.8415]]] shape=[1, 1, 2] float32", Effect::Pure,
     native_rope},
    {"cndl_save_model_safetensor", "(tensors: any, path: any) -> unit",
     "Writes a model, or pairs of name and tensor, as a safetensors file.", "", Effect::Io,
     native_save_model_safetensor},
    {"cndl_save_safetensor", "(x: any, path: string, name: string = \"tensor\") -> unit",
     "Writes a safetensors file of one tensor.", "", Effect::Io, native_save_safetensor},
    {"cndl_silu", "(x: tensor) -> tensor", "The same as silu.",
     "cndl_silu([0.0])  //~ [0.0000] shape=[1] float32", Effect::Pure, unary<kSilu>},
    {"cndl_softmax", "(x: tensor, axis: int = -1) -> tensor", "The same as softmax.",
     "cndl_softmax([0.0, 0.0], 0)  //~ [0.5000 0.5000] shape=[2] float32", Effect::Pure, binary<kSoftmax>},
    {"cndl_tanh", "(x: tensor) -> tensor", "The same as tanh.",
     "cndl_tanh([0.0])  //~ [0.0000] shape=[1] float32", Effect::Pure, unary<kTanh>},
    {"cndl_transpose", "(x: tensor, a: int = -2, b: int = -1) -> tensor", "The same as transpose.",
     "cndl_transpose([[1.0, 2.0]], 0, 1)  //~ [[1.0000] [2.0000]] shape=[2, 1] float32", Effect::Pure,
     native_transpose},
};

}  // namespace

std::span<const Builtin> candle_natives() {
  return kRows;
}

}  // namespace tl::lang
