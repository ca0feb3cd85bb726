// The command line of tl: reads it, hands over to the commands. What is promised here is in docs/cli.md.
#include <CLI/CLI.hpp>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

#include "tl/tools/cli/commands.h"

namespace tl::cli {
namespace {

// CLI11's own bounds print the largest double in full.
CLI::Validator at_least_zero() {
  return CLI::Validator(
      [](std::string& text) {
        double value = 0;
        if (CLI::detail::lexical_cast(text, value) && value >= 0) return std::string();
        return fmt::format("found '{}', want a number that is not negative", text);
      },
      "NUMBER");
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
  app.add_flag("--memory", o.report_memory, "reports memory and plans at the end")->envname("TL_MEMORY");
}

struct GenerateArgs {
  std::string model;
  std::vector<std::string> args;  // as --name=value, for the program
};

// Options that go to the .tl program as they are; here they are named, checked and explained.
void add_program_option(CLI::App& app, GenerateArgs& g, const std::string& name, const std::string& help,
                        const CLI::Validator& check = CLI::Validator()) {
  app.add_option_function<std::string>(
         name, [&g, name](const std::string& value) { g.args.push_back(name + "=" + value); }, help)
      ->check(check);
}
void add_program_flag(CLI::App& app, GenerateArgs& g, const std::string& name, const std::string& help) {
  app.add_flag_callback(
      name, [&g, name] { g.args.push_back(name); }, help);
}

void add_sampling_options(CLI::App& app, GenerateArgs& g) {
  add_program_option(app, g, "--system", "a system message, with --chat");
  add_program_option(app, g, "--max-tokens", "most tokens of an answer", at_least_zero());
  add_program_option(app, g, "--temperature", "0 is greedy", at_least_zero());
  add_program_option(app, g, "--top-k", "sample among the K likeliest; 0: all", at_least_zero());
  add_program_option(app, g, "--top-p", "sample among the likeliest that make up P", CLI::Range(0.0, 1.0));
  add_program_option(app, g, "--min-p", "sample among those at least P times as likely as the best",
                     CLI::Range(0.0, 1.0));
  add_program_option(app, g, "--repeat-penalty", "divides logits of recent tokens", CLI::PositiveNumber);
  add_program_option(app, g, "--seed", "of the random draws", CLI::TypeValidator<i64>("INT"));
  add_program_option(app, g, "--context", "tokens the conversation may have", CLI::PositiveNumber);
  add_program_option(app, g, "--prefill-chunk", "prompt tokens per pass", CLI::PositiveNumber);
}

bool is_command(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == name) return true;
  }
  return false;
}

// `tl FILE`, `tl run:FILE` and options before them all mean `tl run`.
std::vector<std::string> normalise(int argc, char** argv, const CLI::App& app) {
  std::vector<std::string> args(argv + 1, argv + argc);
  if (args.empty()) return args;
  std::string& first = args[0];
  if (first.starts_with("run:")) {
    first = first.substr(4);
    args.insert(args.begin(), "run");
  } else if (first == "-h" || first == "--help" || first == "--version" || first == "-v") {
    if (first == "--version" || first == "-v") first = "version";
  } else if (!is_command(app, first) && (first.starts_with("-") || first.ends_with(".tl"))) {
    args.insert(args.begin(), "run");
  }
  return args;
}

int main_impl(int argc, char** argv) {
  CLI::App app{"TensorLogic: tensors, learning and logic in one language", "tl"};
  app.require_subcommand(1);
  app.footer(
      "Options before FILE are tl's; everything after FILE is the program's.\nExit codes: 0 done, 1 the "
      "program failed, 2 wrong usage, 3 the environment, 130 interrupted.");
  int code = kOk;
  SessionOptions options;
  GenerateArgs g;

  RunArgs run;
  CLI::App* cmd =
      app.add_subcommand("run", "runs a program (also: tl FILE, tl run:FILE; - is standard input)");
  add_run_options(*cmd, run.session);
  cmd->prefix_command();
  cmd->callback([&, cmd] {
    std::vector<std::string> rest = cmd->remaining();
    if (rest.empty()) throw CLI::RequiredError("FILE");
    if (rest[0] != "-" && rest[0].starts_with("-")) throw CLI::ExtrasError("run", {rest[0]});
    run.file = rest[0];
    run.args.assign(rest.begin() + 1, rest.end());
    code = run_program(run);
  });

  std::vector<std::string> files;
  bool json = false, special = false;
  cmd = app.add_subcommand("check", "reports every error of programs without running them");
  cmd->add_option("FILE", files, "programs")->required();
  cmd->add_flag("--json", json, "one diagnostic a line");
  cmd->callback([&] { code = check(files, json); });

  cmd = app.add_subcommand("chat", "a conversation with a model");
  cmd->add_option("MODEL", g.model, "a path, or a name in the model cache")->required();
  add_run_options(*cmd, options);
  add_sampling_options(*cmd, g);
  cmd->callback([&] { code = run_std(options, "chat", g.model, g.args); });

  cmd = app.add_subcommand("generate", "one completion");
  cmd->add_option("MODEL", g.model, "a path, or a name in the model cache")->required();
  add_run_options(*cmd, options);
  add_sampling_options(*cmd, g);
  add_program_option(*cmd, g, "--prompt", "the text to continue");
  add_program_option(*cmd, g, "--prompt-file", "a file with the text to continue");
  add_program_option(*cmd, g, "--tokens", "the prompt as ids: 1,2,3");
  add_program_option(*cmd, g, "--logits", "writes float32 [positions, vocabulary] to this .npy file");
  add_program_flag(*cmd, g, "--chat", "applies the model's chat template");
  add_program_flag(*cmd, g, "--ignore-eos", "goes on after the end of the answer");
  add_program_flag(*cmd, g, "--json", "prints one object when done, and nothing else");
  cmd->callback([&] { code = run_std(options, "generate", g.model, g.args); });

  cmd = app.add_subcommand("speed", "tokens per second, as llama-bench measures it");
  cmd->add_option("MODEL", g.model, "a path, or a name in the model cache")->required();
  add_run_options(*cmd, options);
  add_program_option(*cmd, g, "--prompt", "tokens of the prefill (512)", at_least_zero());
  add_program_option(*cmd, g, "--generate", "tokens of the decode (128)", at_least_zero());
  add_program_option(*cmd, g, "--depth", "tokens in the cache before (0)", at_least_zero());
  add_program_option(*cmd, g, "--repeat", "counted runs (5)", CLI::PositiveNumber);
  add_program_flag(*cmd, g, "--json", "prints one object");
  cmd->callback([&] { code = run_std(options, "speed", g.model, g.args); });

  std::string model, other;
  cmd = app.add_subcommand("tokenize", "text on standard input to token ids");
  cmd->add_option("MODEL", model, "a model, or a tokenizer.json")->required();
  cmd->add_flag("--json", json, "prints {\"tokens\", \"pieces\"}");
  cmd->add_flag("--special", special, "reads the spelling of special tokens as those tokens");
  cmd->callback([&] { code = tokenize(model, json, special); });
  cmd = app.add_subcommand("detokenize", "token ids on standard input to text");
  cmd->add_option("MODEL", model, "a model, or a tokenizer.json")->required();
  cmd->add_flag("--json", json, "reads {\"tokens\"}, prints {\"text\"}");
  cmd->callback([&] { code = detokenize(model, json); });
  cmd = app.add_subcommand("inspect", "metadata and tensors of a model file");
  cmd->add_option("MODEL", model, "a path, or a name in the model cache")->required();
  cmd->add_flag("--json", json, "one object");
  cmd->callback([&] { code = inspect(model, json); });
  cmd = app.add_subcommand("diff", "the first command that differs between two --checksums files");
  cmd->add_option("A", model, "a file written by --checksums")->required();
  cmd->add_option("B", other, "another")->required();
  cmd->callback([&] { code = diff(model, other); });

  CLI::App* models = app.add_subcommand("models", "the model cache");
  cmd = models->add_subcommand("list", "models that can be fetched by name");
  cmd->add_flag("--json", json, "one array");
  cmd->callback([&] { code = models_list(json); });
  cmd = models->add_subcommand("fetch", "downloads a model and checks it");
  cmd->add_option("NAME", model, "a name of `tl models list`")->required();
  cmd->callback([&] { code = models_fetch(model); });
  cmd = models->add_subcommand("path", "where a model of the cache is");
  cmd->add_option("NAME", model, "a name of `tl models list`")->required();
  cmd->callback([&] { code = models_path(model); });
  models->callback([&, models] {
    if (models->get_subcommands().empty()) code = models_list(false);
  });

  cmd = app.add_subcommand("devices", "devices with what was detected");
  cmd->add_flag("--json", json, "one array");
  cmd->callback([&] { code = devices(json); });
  cmd = app.add_subcommand("version", "version, commit, build");
  cmd->add_flag("--json", json, "one object");
  cmd->callback([&] { code = version(json); });

  std::vector<std::string> args = normalise(argc, argv, app);
  std::reverse(args.begin(), args.end());  // CLI11 takes them from the back
  try {
    app.parse(args);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kOk : kUsage;
  }
  return code;
}

}  // namespace
}  // namespace tl::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of write(), not a death
  using namespace tl;
  int code = cli::kOk;
  std::error_code failed;
  try {
    code = cli::main_impl(argc, argv);
    if (std::fflush(stdout) != 0) failed = {errno, std::generic_category()};
  } catch (const std::system_error& e) {  // fmt::print could not write
    failed = e.code();
  }
  if (!failed || failed.value() == EPIPE) return code;
  return cli::report(fail(Code::Io, "cannot write to standard output: {}", failed.message()));
}
