#include "tl/interp/vm.h"

namespace tl::interp {

Result<int> run(const Program& program, lang::Host& host, const RunOptions& options) {
  Vm vm(program, host);
  std::vector<int> parts = program.initialisers;
  if (options.block != nullptr) {
    parts.push_back(options.block->proto);
  } else if (program.main >= 0) {
    parts.push_back(program.main);
  }
  for (const int part : parts) {
    Result<Value> done = vm.run_proto(part);
    if (done.ok()) continue;
    if (const auto code = vm.exit_code()) {
      TL_TRY_DO(host.out.flush());
      return *code;
    }
    if (options.trace != nullptr) *options.trace = vm.trace();
    (void)host.out.flush();  // what was written before the failure; the failure itself is what to report
    return std::move(done).error();
  }
  TL_TRY_DO(host.executor.finish());
  TL_TRY_DO(host.out.flush());
  return 0;
}

}  // namespace tl::interp
