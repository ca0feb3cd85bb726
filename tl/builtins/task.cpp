#include "tl/builtins/task.h"

#include "tl/builtins/builtins.h"
#include "tl/builtins/generator.h"
#include "tl/builtins/kv_cache.h"
#include "tl/builtins/model.h"
#include "tl/value/map.h"

namespace tl::lang {

Result<Value> Cloner::clone(const Value& value) {
  TL_TRY(Value copy, shell(value));
  while (!open_.empty()) {  // a list, not recursion: a long chain of objects must not overflow the stack
    const auto [from, to] = open_.back();
    open_.pop_back();
    TL_TRY_DO(fill(*from, *to));
  }
  return copy;
}

Result<Value> Cloner::shell(const Value& value) {
  if (!value.is_object()) return value;
  if (const auto it = copies_.find(value.object()); it != copies_.end()) return it->second;
  TL_TRY(Value copy, new_shell(value));
  copies_.emplace(value.object(), copy);
  return copy;
}

Value Cloner::open(const Object& from, Object* to) {
  open_.emplace_back(&from, to);
  return Value(to);
}

Result<Value> Cloner::new_shell(const Value& value) {
  const Object& from = *value.object();
  switch (from.kind) {
    case ObjectKind::String:
      return make_string(value.as<String>().text);
    case ObjectKind::List: {
      auto* list = new List;
      list->is_vec = value.as<List>().is_vec;
      return open(from, list);
    }
    case ObjectKind::Tuple:
      return open(from, new Tuple);
    case ObjectKind::Range: {
      const Range& r = value.as<Range>();
      return Value(new Range(r.begin, r.end, r.step));
    }
    case ObjectKind::Tensor: {
      const TensorValue& t = value.as<TensorValue>();
      tensors.push_back(t.tensor);
      return Value(new TensorValue(t.tensor, t.is_literal));
    }
    case ObjectKind::Struct: {
      const StructType& type = value.as<Struct>().type;
      if (type.has_drop)
        return fail(Code::BadProgram, "a {} has a drop and cannot be copied for a task", type.name);
      return open(from, new Struct(type));
    }
    case ObjectKind::Function: {
      const Function& f = value.as<Function>();
      auto* copy = new Function(f.code, f.name);
      functions.push_back(copy);
      return open(from, copy);
    }
    case ObjectKind::Builtin:
      return Value(new BuiltinRef(value.as<BuiltinRef>().builtin));
    case ObjectKind::Cell:
      return open(from, new Cell);
    case ObjectKind::Model:
      return Value(new Model(value.as<Model>().data));
    case ObjectKind::ModelPath: {
      TL_TRY(Value model, shell(value.as<ModelPath>().model));
      return Value(new ModelPath(std::move(model), value.as<ModelPath>().node));
    }
    case ObjectKind::Metadata: {
      TL_TRY(Value model, shell(value.as<Metadata>().model));
      return Value(new Metadata(std::move(model)));
    }
    case ObjectKind::Tokenizer:
      return Value(new TokenizerValue(value.as<TokenizerValue>().tokenizer));
    case ObjectKind::StreamDecoder: {
      const auto& d = value.as<StreamDecoderValue>();
      return Value(new StreamDecoderValue(d.tokenizer, d.decoder));
    }
    case ObjectKind::KVCache: {
      const auto& cache = value.as<KVCache>();
      for (const KVCache::Layer& layer : cache.layers) {
        if (layer.keys) tensors.push_back(layer.keys), tensors.push_back(layer.values);
      }
      return cache.copy();
    }
    case ObjectKind::Task:
      return Value(new Task(nullptr));
    case ObjectKind::Generator: {
      const Generator& g = value.as<Generator>();
      return Value(new Generator(g.own, g.is_default));
    }
    case ObjectKind::Map:
      return open(from, new Map);
    case ObjectKind::Set:
      return open(from, new Set);
    case ObjectKind::NpyWriter:
      break;
  }
  return fail(Code::BadProgram, "a value of type {} stays with the task that made it", type_name(value));
}

Result<void> Cloner::fill_items(std::span<const Value> from, std::vector<Value>& to) {
  to.clear();
  to.reserve(from.size());
  for (const Value& item : from) {
    TL_TRY(Value copy, shell(item));
    to.push_back(std::move(copy));
  }
  return {};
}

Result<void> Cloner::fill(const Object& from, Object& to) {
  switch (from.kind) {
    case ObjectKind::List:
      return fill_items(static_cast<const List&>(from).items, static_cast<List&>(to).items);
    case ObjectKind::Tuple:
      return fill_items(static_cast<const Tuple&>(from).items, static_cast<Tuple&>(to).items);
    case ObjectKind::Struct:
      return fill_items(static_cast<const Struct&>(from).fields, static_cast<Struct&>(to).fields);
    case ObjectKind::Function:
      return fill_items(static_cast<const Function&>(from).captures, static_cast<Function&>(to).captures);
    case ObjectKind::Map:
    case ObjectKind::Set: {
      auto& keyed = static_cast<Keyed&>(to);
      keyed.copy_keys(static_cast<const Keyed&>(from));
      return fill_items(static_cast<const Keyed&>(from).entries(), keyed.entries());
    }
    case ObjectKind::Cell: {
      TL_TRY(static_cast<Cell&>(to).value, shell(static_cast<const Cell&>(from).value));
      return {};
    }
    default:
      TL_CHECK(false, "an object of kind {} has no items", static_cast<int>(from.kind));
  }
}

}  // namespace tl::lang
