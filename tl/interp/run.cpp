#include "tl/interp/tasks.h"
#include "tl/interp/vm.h"

namespace tl::interp {

Result<int> run(const Program& program, lang::Host& host, const RunOptions& options) {
  TaskPool tasks(program, host);
  // However the program ends, nobody looks at what is still to be computed.
  struct AtTheEnd {
    lang::Host& host;
    TaskPool& tasks;
    ~AtTheEnd() {
      host.executor.drop();
      tasks.drop();
    }
  } const at_the_end{host, tasks};
  Vm vm(program, host, tasks);
  if (host.interrupts != nullptr) host.interrupts->limit = program.asks_for_interrupts ? 2 : 1;
  std::vector<int> parts = program.initialisers;
  if (options.block != nullptr) {
    parts.push_back(options.block->proto);
  } else if (program.main >= 0) {
    parts.push_back(program.main);
  }
  const auto finish_tasks = [&]() -> Result<Value> {
    TL_TRY_DO(vm.finish_tasks());
    return Value::unit();
  };
  for (size_t i = 0; i <= parts.size(); ++i) {
    Result<Value> done = i < parts.size() ? vm.run_proto(parts[i]) : finish_tasks();
    if (done.ok()) continue;
    if (const auto code = vm.exit_code()) {
      TL_TRY_DO(host.executor.report_unseen());
      TL_TRY_DO(host.out.flush());
      return *code;
    }
    if (options.trace != nullptr) *options.trace = vm.trace();
    (void)host.out.flush();  // what was written before the failure; the failure itself is what to report
    return std::move(done).error();
  }
  TL_TRY_DO(host.executor.report_unseen());
  TL_TRY_DO(host.out.flush());
  return 0;
}

}  // namespace tl::interp
