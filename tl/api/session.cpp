#include "tl/api/session.h"

#include "tl/api/paths.h"
#include "tl/api/trace_text.h"
#include "tl/base/read_file.h"
#include "tl/diag/print.h"
#include "tl/interp/instance.h"
#include "tl/interp/interp.h"
#include "tl/observe/validate.h"
#include "tl/sema/sema.h"

namespace tl {
namespace {

Result<std::string> read_program(const std::string& file) {
  if (file == "-") return read_whole_file(stdin, file, SourceFiles::kMaxBytes);
  return read_whole_file(file, SourceFiles::kMaxBytes);
}

// Names that nothing declares, in a program with errors of syntax: but for those that stand on a line with
// such an error, which may have declared them.
void report_names(const interp::ModuleGraph& graph, const SourceFiles& files, Diagnostics& diags) {
  for (const Diagnostic& d : diags.all()) {
    if (d.code == DiagCode::ImportNotFound || d.code == DiagCode::ImportCycle) return;
  }
  Diagnostics found;
  (void)interp::compile(graph, found);
  std::string broken;
  for (const Diagnostic& d : diags.all()) {
    if (d.severity() == Severity::Error && d.primary.span)
      broken += " " + std::string(files.text(files.line_span(d.primary.span.file, d.primary.span.begin)));
  }
  for (const Diagnostic& d : found.all()) {
    if (d.code == DiagCode::UnknownName && broken.find(d.args[0]) == std::string::npos) diags.add(d);
  }
}

// The program's bytecode, or diagnostics that say why there is none.
std::optional<interp::Program> build(FileId root, SourceFiles& files, Diagnostics& diags, bool lint = false) {
  const interp::ModuleGraph graph = interp::load_modules(files, root, share_dir(), diags);
  const bool parsed = !diags.has_errors();
  std::vector<const ast::Module*> trees;
  for (const interp::Module& module : graph.modules) trees.push_back(module.tree.get());
  sema::check(trees, diags, lint);
  std::optional<interp::Program> program;
  if (parsed) {
    program = interp::compile(graph, diags);  // after errors of types too: it reports names
  } else {
    report_names(graph, files, diags);
  }
  if (diags.has_errors()) program.reset();
  return program;
}
Result<std::optional<interp::Program>> build(const std::string& file, SourceFiles& files, Diagnostics& diags,
                                             bool lint = false) {
  TL_TRY(std::string text, read_program(file));
  return build(files.add(file == "-" ? "<stdin>" : file, std::move(text)), files, diags, lint);
}

}  // namespace

ProgramOutcome run_file(const SessionOptions& options, const SessionHooks& hooks, const std::string& file,
                        std::vector<std::string> args, bool colour) {
  size_t blocks = 0;
  const auto body = [&](const interp::Program& program, lang::Host& host, const SourceFiles&,
                        std::vector<interp::TraceEntry>& trace) {
    if (program.only_declares) blocks = program.tests.size() + program.benches.size();
    return interp::run(program, host, {.trace = &trace});
  };
  ProgramOutcome outcome = run_with(options, hooks, file, std::move(args), colour, body);
  if (blocks > 0 && outcome.messages.empty()) {
    outcome.messages = fmt::format(
        "note: {} has only test and bench blocks, which run by: tl test {}, tl bench {}\n", file, file, file);
  }
  return outcome;
}

ProgramOutcome run_with(const SessionOptions& options, const SessionHooks& hooks, const std::string& file,
                        std::vector<std::string> args, bool colour, const ProgramBody& body) {
  ProgramOutcome outcome;
  SourceFiles files;
  Diagnostics diags;
  const auto failed = [&](Error error) {
    outcome.messages += render(error, files, {.colour = colour});
    outcome.failure = std::move(error);
  };
  auto program = build(file, files, diags);
  if (!program.ok()) return failed(std::move(program).error()), outcome;
  diags.sort();
  outcome.messages = render(diags, files, {.colour = colour});
  if (!program.value()) return outcome.program_is_wrong = true, outcome;

  auto device = create_device(options.device);
  if (!device.ok()) return failed(std::move(device).error()), outcome;
  auto watch = Watch::create(options.watch, *device.value(), files);
  if (!watch.ok()) return failed(std::move(watch).error()), outcome;
  ExecOptions exec = options.exec;
  exec.observer = watch.value()->exec_observer();
  auto executor = Executor::create(*device.value(), std::move(exec));
  if (!executor.ok()) return failed(std::move(executor).error()), outcome;

  lang::FileOutput out(options.watch.explain ? stderr : stdout), err(stderr);
  std::vector<interp::TraceEntry> trace;
  lang::Host host{.executor = *executor.value(), .out = out, .err = err};
  host.args = std::move(args);
  host.interrupts = hooks.interrupts;
  host.ask = hooks.ask;
  host.opened = [&](auto tokenizer) { watch.value()->opened(std::move(tokenizer)); };
  Result<int> code = body(*program.value(), host, files, trace);
  Result<void> flushed = out.flush();
  if (code.ok()) {
    outcome.exit_code = code.value();
    if (Result<void> done = executor.value()->finish(); !done.ok()) failed(std::move(done).error());
    if (!flushed.ok() && !outcome.failure) failed(std::move(flushed).error());
  } else {
    failed(std::move(code).error());
    outcome.messages += trace_text(trace, files);
  }
  outcome.output_closed = out.is_closed();
  if (auto fault = validation_fault(*device.value()); fault && !outcome.failure) failed(std::move(*fault));
  const ExecStats stats = executor.value()->stats();
  std::move(executor).value().reset();  // nothing computes any more
  std::fputs(watch.value()->explanation().c_str(), stdout);
  const Result<std::string> report = watch.value()->report(stats);
  if (report.ok()) {
    std::fputs(report.value().c_str(), stderr);
  } else if (!outcome.failure) {
    failed(report.error());
  }
  if (Executor::any_stuck()) {  // its device waits for the command that does not end, and we do not
    (void)watch.value().release();
    (void)device.value().release();
  }
  return outcome;
}

void check_file(const std::string& file, CheckResult& result) {
  auto program = build(file, result.files, result.diagnostics, true);
  if (!program.ok()) result.failure = std::move(program).error();
  result.diagnostics.sort();
}

struct Session::Loaded {
  SourceFiles files;
  interp::Program program;
  std::unique_ptr<interp::Instance> instance;
};

Session::Session() = default;

// Values before the executor and device that their tensors are of.
Session::~Session() {
  loaded_.reset();
}

Result<std::unique_ptr<Session>> Session::create(const DeviceOptions& device, const ExecOptions& exec,
                                                 lang::Output& out, lang::Output& err) {
  std::unique_ptr<Session> s(new Session);
  TL_TRY(s->device_, create_device(device));
  TL_TRY(s->executor_, Executor::create(*s->device_, exec));
  s->interrupts_ = std::make_unique<lang::Interrupts>();
  s->interrupts_->end();
  s->host_ = std::make_unique<lang::Host>(lang::Host{.executor = *s->executor_, .out = out, .err = err});
  s->host_->in = nullptr;
  s->host_->interrupts = s->interrupts_.get();
  s->host_->outlives_interrupts = true;
  return s;
}

bool Session::cancel() {
  return interrupts_->cancel();
}

Result<void> Session::load(const std::string& name, std::string text) {
  loaded_.reset();
  auto loaded = std::make_unique<Loaded>();
  Diagnostics diags;
  std::optional<interp::Program> program =
      build(loaded->files.add(name, std::move(text)), loaded->files, diags);
  diags.sort();
  messages_ = render(diags, loaded->files, {});
  if (!program) return fail(Code::BadProgram, "{} is not a program that could run", name);
  loaded->program = std::move(*program);
  loaded->instance = std::make_unique<interp::Instance>(loaded->program, *host_);
  loaded_ = std::move(loaded);
  interrupts_->begin();
  Result<void> done = loaded_->instance->start();
  interrupts_->end();
  if (!done.ok())
    messages_ =
        render(done.error(), loaded_->files, {}) + trace_text(loaded_->instance->trace(), loaded_->files);
  return done;
}

Result<lang::Value> Session::call(std::string_view function, std::span<const lang::Value> args) {
  if (loaded_ == nullptr) return fail(Code::BadProgram, "no program is loaded");
  interrupts_->begin();
  Result<lang::Value> result = loaded_->instance->call(function, args);
  interrupts_->end();
  if (!result.ok())
    messages_ =
        render(result.error(), loaded_->files, {}) + trace_text(loaded_->instance->trace(), loaded_->files);
  return result;
}

}  // namespace tl
