#include "tl/builtins/npy_writer.h"

namespace tl::lang {

Result<void> NpyWriterValue::append(Executor& executor, const Tensor& rows) {
  if (rows.rank() == 0) return fail(Code::BadProgram, "write_rows: found a single number, want rows");
  TensorType type = rows.type();
  type.shape.erase(0);
  if (!writer) {
    TL_TRY(NpyWriter made, NpyWriter::create(path, type.dtype, type.shape));
    writer.emplace(std::move(made));
    row = type;
  }
  if (!(row == type)) {
    return fail(Code::BadProgram, "write_rows: found rows of {}, want {} as before", to_string(type),
                to_string(row));
  }
  TL_TRY(const HostTensor host, executor.read(rows));
  return writer->append({reinterpret_cast<const u8*>(host.bytes.data()), host.bytes.size()});
}

Result<void> NpyWriterValue::close() {
  if (!writer) return fail(Code::BadProgram, "close: {} has no rows yet", path);
  TL_TRY_DO(writer->finish());
  writer.reset();
  return {};
}

}  // namespace tl::lang
