// The command line of tl: reads it, hands over to the commands. What is promised here is in docs/cli.md.
#include <CLI/CLI.hpp>

#include <stdio_ext.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "tl/base/fail_point.h"
#include "tl/tools/cli/commands.h"

namespace tl::cli {
namespace {

// CLI11's own bounds print the largest double in full.
CLI::Validator number_where(bool (*holds)(double), const std::string& what) {
  return CLI::Validator(
      [holds, what](std::string& text) {
        double value = 0;
        if (CLI::detail::lexical_cast(text, value) && holds(value)) return std::string();
        return fmt::format("found '{}', want a number that is {}", text, what);
      },
      "NUMBER");
}
CLI::Validator at_least_zero() {
  return number_where([](double value) { return value >= 0; }, "not negative");
}
CLI::Validator above_zero() {
  return number_where([](double value) { return value > 0; }, "above zero");
}

// Options of everything that computes; each also in the environment, the flag winning.
void add_run_options(CLI::App& app, SessionOptions& o) {
  app.add_option("--device", o.device.device, "reference, null or cpu (default: the best there is)")
      ->envname("TL_DEVICE");
  app.add_option("--threads", o.device.threads,
                 "threads of the CPU device (default: all cores this process may use)")
      ->envname("TL_THREADS")
      ->check(CLI::Range(1, 1024));
  app.add_option("--simd", o.device.simd, "portable, avx2 or avx512, at or below what the machine has")
      ->envname("TL_SIMD");
  app.add_option("--memory-limit", o.device.memory_limit_bytes, "bytes tensors may take")
      ->envname("TL_MEMORY_LIMIT")
      ->check(at_least_zero())
      ->transform(CLI::AsSizeValue(false));
  app.add_flag("--eager", o.exec.eager, "one command, then wait")->envname("TL_EAGER");
  app.add_option("--shuffle", o.exec.shuffle, "any legal order of commands, drawn from this seed")
      ->envname("TL_SHUFFLE");
  app.add_option("--commands-per-batch", o.exec.commands_per_batch, "commands handed over at once")
      ->envname("TL_COMMANDS_PER_BATCH")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--checksums", o.exec.checksums_path,
                 "writes op, shape and a hash of the output of every command")
      ->envname("TL_CHECKSUMS");
  app.add_flag("--no-fuse{false}", o.exec.fuse, "runs every op on its own")->envname("TL_NO_FUSE");
  app.add_flag("--no-replay{false}", o.exec.replay, "interprets every call of every function")
      ->envname("TL_NO_REPLAY");
  app.add_flag("--memory", o.watch.memory, "reports what held memory, and plans, at the end")
      ->envname("TL_MEMORY");
  app.add_flag("--profile", o.watch.profile, "reports the time of every op and line at the end")
      ->envname("TL_PROFILE");
  app.add_option("--trace", o.watch.trace_path, "writes a timeline for Perfetto to this file")
      ->envname("TL_TRACE");
  app.add_flag("--validate", o.device.validate, "stops at the first fault of order, memory or values (slow)")
      ->envname("TL_VALIDATE");
  app.add_option("--wait-timeout", o.exec.wait_timeout_seconds,
                 "seconds after which a wait fails and names the command it waits for; 0: never")
      ->envname("TL_WAIT_TIMEOUT")
      ->check(at_least_zero());
  app.add_flag("--debug-sampling", o.watch.sampling,
               "shows the ten largest logits of every sampled token on standard error")
      ->envname("TL_DEBUG_SAMPLING");
}

// What the command line said. CLI11 fills it in; the command that was named reads it.
struct Said {
  SessionOptions session;
  std::string model, other;  // MODEL or NAME; of `diff`, A and B
  std::vector<std::string> files;
  std::vector<std::string> args;  // as --name=value, for a program of the standard library
  bool json = false, special = false, markdown = false, only_checks = false, from_stdin = false;
  int code = kOk;
};

constexpr const char* kModelHelp = "a path, or a name in the model cache";

// Options that go to the .tl program as they are; here they are named, checked and explained.
void add_program_option(CLI::App& app, Said& said, const std::string& name, const std::string& help,
                        const CLI::Validator& check = CLI::Validator()) {
  app.add_option_function<std::string>(
         name, [&said, name](const std::string& value) { said.args.push_back(name + "=" + value); }, help)
      ->check(check);
}
void add_program_flag(CLI::App& app, Said& said, const std::string& name, const std::string& help) {
  app.add_flag_callback(
      name, [&said, name] { said.args.push_back(name); }, help);
}

void add_sampling_options(CLI::App& app, Said& said) {
  add_program_option(app, said, "--system", "a system message, with --chat");
  add_program_option(app, said, "--max-tokens", "most tokens of an answer", at_least_zero());
  add_program_option(app, said, "--temperature", "0 is greedy", at_least_zero());
  add_program_option(app, said, "--top-k", "sample among the K likeliest; 0: all", at_least_zero());
  add_program_option(app, said, "--top-p", "sample among the likeliest that make up P", CLI::Range(0.0, 1.0));
  add_program_option(app, said, "--min-p", "sample among those at least P times as likely as the best",
                     CLI::Range(0.0, 1.0));
  add_program_option(app, said, "--repeat-penalty", "divides logits of recent tokens", above_zero());
  add_program_option(app, said, "--seed", "of the random draws", CLI::TypeValidator<i64>("INT"));
  add_program_option(app, said, "--context", "tokens the conversation may have", above_zero());
  add_program_option(app, said, "--prefill-chunk", "prompt tokens per pass", above_zero());
}

void add_run(CLI::App& app, Said& said) {
  CLI::App* cmd =
      app.add_subcommand("run", "runs a program (also: tl FILE, tl run:FILE; - is standard input)");
  add_run_options(*cmd, said.session);
  cmd->prefix_command();
  cmd->callback([&said, cmd] {
    std::vector<std::string> rest = cmd->remaining();
    if (rest.empty()) throw CLI::RequiredError("FILE");
    if (rest[0] != "-" && rest[0].starts_with("-")) throw CLI::ExtrasError("run", {rest[0]});
    said.code = run_program({said.session, rest[0], {rest.begin() + 1, rest.end()}});
  });
}

void add_explain(CLI::App& app, Said& said) {
  CLI::App* cmd = app.add_subcommand("explain",
                                     "runs a program and prints its plans; what it prints itself goes to "
                                     "standard error");
  add_run_options(*cmd, said.session);
  cmd->prefix_command();
  cmd->callback([&said, cmd] {
    std::vector<std::string> rest = cmd->remaining();
    if (rest.empty()) throw CLI::RequiredError("FILE");
    if (rest[0] != "-" && rest[0].starts_with("-")) throw CLI::ExtrasError("explain", {rest[0]});
    said.session.watch.explain = true;
    said.code = run_program({said.session, rest[0], {rest.begin() + 1, rest.end()}});
  });
}

void add_check(CLI::App& app, Said& said) {
  CLI::App* cmd = app.add_subcommand("check", "reports every error of programs without running them");
  cmd->add_option("FILE", said.files, "programs")->required();
  cmd->add_flag("--json", said.json, "one diagnostic a line");
  cmd->callback([&said] { said.code = check(said.files, said.json); });
}

void add_fmt(CLI::App& app, Said& said) {
  CLI::App* cmd = app.add_subcommand("fmt", "lays out programs: indentation, spaces, blank lines");
  CLI::Option* files = cmd->add_option("FILE", said.files, "programs, or folders of them");
  cmd->add_flag("--check", said.only_checks, "writes nothing; names what would change, and ends with 1");
  cmd->add_flag("--stdin", said.from_stdin, "from standard input to standard output")->excludes(files);
  cmd->callback([&said] {
    if (said.files.empty() && !said.from_stdin) throw CLI::RequiredError("FILE");
    said.code = said.from_stdin ? format_stdin(said.only_checks) : format_files(said.files, said.only_checks);
  });
}

void add_doc(CLI::App& app, Said& said) {
  CLI::App* cmd = app.add_subcommand("doc", "what a builtin means; without NAME, all of them by family");
  CLI::Option* name = cmd->add_option("NAME", said.model, "a builtin, or a family of builtins");
  CLI::Option* json = cmd->add_flag("--json", said.json, "one object, or one array");
  cmd->add_flag("--markdown", said.markdown, "the whole reference page")->excludes(name)->excludes(json);
  cmd->callback([&said] { said.code = doc(said.model, said.json, said.markdown); });
}

// A command that is a program of the standard library with a model as its first argument.
CLI::App& add_std(CLI::App& app, Said& said, const std::string& name, const std::string& help) {
  CLI::App* cmd = app.add_subcommand(name, help);
  cmd->add_option("MODEL", said.model, kModelHelp)->required();
  add_run_options(*cmd, said.session);
  cmd->callback([&said, name] { said.code = run_std(said.session, name, said.model, said.args); });
  return *cmd;
}

void add_std_commands(CLI::App& app, Said& said) {
  CLI::App& chat = add_std(app, said, "chat", "a conversation with a model");
  add_sampling_options(chat, said);
  add_program_option(chat, said, "--prompt", "the first turn");

  CLI::App& generate = add_std(app, said, "generate", "one completion");
  add_sampling_options(generate, said);
  add_program_option(generate, said, "--prompt", "the text to continue");
  add_program_option(generate, said, "--prompt-file", "a file with the text to continue");
  add_program_option(generate, said, "--tokens", "the prompt as ids: 1,2,3");
  add_program_option(generate, said, "--logits", "writes float32 [positions, vocabulary] to this .npy file");
  add_program_flag(generate, said, "--chat", "applies the model's chat template");
  add_program_flag(generate, said, "--ignore-eos", "goes on after the end of the answer");
  add_program_flag(generate, said, "--json", "prints one object when done, and nothing else");

  CLI::App& speed = add_std(app, said, "speed", "tokens per second, as llama-bench measures it");
  add_program_option(speed, said, "--prompt", "tokens of the prefill (512)", at_least_zero());
  add_program_option(speed, said, "--generate", "tokens of the decode (128)", at_least_zero());
  add_program_option(speed, said, "--depth", "tokens in the cache before (0)", at_least_zero());
  add_program_option(speed, said, "--repeat", "counted runs (5)", above_zero());
  add_program_flag(speed, said, "--json", "prints one object");
}

void add_file_commands(CLI::App& app, Said& said) {
  CLI::App* cmd = app.add_subcommand("tokenize", "text on standard input to token ids");
  cmd->add_option("MODEL", said.model, "a model, or a tokenizer.json")->required();
  cmd->add_flag("--json", said.json, "prints {\"tokens\", \"pieces\"}");
  cmd->add_flag("--special", said.special, "reads the spelling of special tokens as those tokens");
  cmd->callback([&said] { said.code = tokenize(said.model, said.json, said.special); });

  cmd = app.add_subcommand("detokenize", "token ids on standard input to text");
  cmd->add_option("MODEL", said.model, "a model, or a tokenizer.json")->required();
  cmd->add_flag("--json", said.json, "reads {\"tokens\"}, prints {\"text\"}");
  cmd->callback([&said] { said.code = detokenize(said.model, said.json); });

  cmd = app.add_subcommand("inspect", "metadata and tensors of a model file");
  cmd->add_option("MODEL", said.model, kModelHelp)->required();
  cmd->add_flag("--json", said.json, "one object");
  cmd->callback([&said] { said.code = inspect(said.model, said.json); });

  cmd = app.add_subcommand("diff", "the first command that differs between two --checksums files");
  cmd->add_option("A", said.model, "a file written by --checksums")->required();
  cmd->add_option("B", said.other, "another")->required();
  cmd->callback([&said] { said.code = diff(said.model, said.other); });
}

void add_models(CLI::App& app, Said& said) {
  CLI::App* models = app.add_subcommand("models", "the model cache");
  CLI::App* cmd = models->add_subcommand("list", "models that can be fetched by name");
  cmd->add_flag("--json", said.json, "one array");
  cmd->callback([&said] { said.code = models_list(said.json); });
  cmd = models->add_subcommand("fetch", "downloads a model and checks it");
  cmd->add_option("NAME", said.model, "a name of `tl models list`")->required();
  cmd->callback([&said] { said.code = models_fetch(said.model); });
  cmd = models->add_subcommand("path", "where a model of the cache is");
  cmd->add_option("NAME", said.model, "a name of `tl models list`")->required();
  cmd->callback([&said] { said.code = models_path(said.model); });
  models->callback([&said, models] {
    if (models->get_subcommands().empty()) said.code = models_list(false);
  });
}

void add_information(CLI::App& app, Said& said) {
  CLI::App* cmd = app.add_subcommand("devices", "devices with what was detected");
  cmd->add_flag("--json", said.json, "one array");
  cmd->callback([&said] { said.code = devices(said.json); });
  cmd = app.add_subcommand("version", "version, commit, build");
  cmd->add_flag("--json", said.json, "one object");
  cmd->callback([&said] { said.code = version(said.json); });
}

bool is_command(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == name) return true;
  }
  return false;
}

// Not a file, and nothing that looks like one.
bool is_unknown_word(const std::string& word) {
  return word != "-" && !word.starts_with("-") && !word.ends_with(".tl") &&
         word.find('/') == std::string::npos && !std::filesystem::exists(word);
}

// Where the options that args begin with end: `--threads 2 --memory FILE` gives 3.
size_t end_of_options(const std::vector<std::string>& args, const CLI::App& run) {
  size_t at = 0;
  while (at < args.size() && args[at].starts_with("-") && args[at] != "-") {
    const CLI::Option* option = run.get_option_no_throw(args[at]);
    at += option != nullptr && option->get_items_expected_max() > 0 ? 2 : 1;
  }
  return std::min(at, args.size());
}

// `tl FILE`, `tl run:FILE` and options before them all mean `tl run`; options may stand before any command.
std::vector<std::string> normalise(int argc, char** argv, const CLI::App& app) {
  std::vector<std::string> args(argv + 1, argv + argc);
  if (args.empty() || args[0] == "-h" || args[0] == "--help") return args;
  if (args[0] == "-v" || args[0] == "--version") {
    args[0] = "version";
    return args;
  }
  const size_t at = end_of_options(args, *app.get_subcommand("run"));
  std::string command = "run";
  if (at < args.size() && is_command(app, args[at])) {
    command = args[at];
    args.erase(args.begin() + static_cast<std::ptrdiff_t>(at));
  } else if (at < args.size() && args[at].starts_with("run:")) {
    args[at] = args[at].substr(4);
  }
  args.insert(args.begin(), command);
  return args;
}

// Failure on purpose, for tests of whatever runs.
int plan_failures() {
  const char* text = std::getenv("TL_FAIL");
  const Result<void> parsed = set_fail_points(text != nullptr ? text : "");
  if (parsed.ok()) return kOk;
  report(parsed.error());
  return kUsage;
}

int main_impl(int argc, char** argv) {
  if (const int code = plan_failures(); code != kOk) return code;
  CLI::App app{"TensorLogic: tensors, learning and logic in one language", "tl"};
  app.require_subcommand(1);
  app.footer(
      "Options before FILE are tl's; everything after FILE is the program's.\nExit codes: 0 done, 1 the "
      "program failed, 2 wrong usage, 3 the environment, 130 interrupted, "
      "143 ended by SIGTERM.");
  Said said;
  add_run(app, said);
  add_explain(app, said);
  add_check(app, said);
  add_fmt(app, said);
  add_doc(app, said);
  add_std_commands(app, said);
  add_file_commands(app, said);
  add_models(app, said);
  add_information(app, said);

  std::vector<std::string> args = normalise(argc, argv, app);
  if (args.size() > 1 && args[0] == "run" && argc > 1 && args[1] == argv[1] && is_unknown_word(args[1])) {
    fmt::print(stderr, "error: '{}' is neither a command nor a program (tl --help lists the commands)\n",
               args[1]);
    return kUsage;
  }
  std::reverse(args.begin(), args.end());  // CLI11 takes them from the back
  try {
    app.parse(args);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kOk : kUsage;
  }
  return said.code;
}

}  // namespace
}  // namespace tl::cli

int main(int argc, char** argv) {
  // For line editing of text that is not ASCII; where no locale is set, UTF-8 all the same.
  const char* locale = std::setlocale(LC_CTYPE, "");
  if (locale == nullptr || std::string_view(locale) == "C") std::setlocale(LC_CTYPE, "C.UTF-8");
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of write(), not a death
  using namespace tl;
  int code = cli::kOk;
  std::error_code failed;
  try {
    code = cli::main_impl(argc, argv);
    const bool on_purpose = __fpending(stdout) > 0 && must_fail(FailPoint::Write);
    if (on_purpose) failed = std::make_error_code(std::errc::io_error);
    if (std::fflush(stdout) != 0) failed = {errno, std::generic_category()};
  } catch (const std::system_error& e) {  // fmt::print could not write
    failed = e.code();
  }
  if (!failed || failed.value() == EPIPE) return code;
  return cli::report(fail(Code::Io, "cannot write to standard output: {}", failed.message()));
}
