"""python -m tensorlogic_kernel install [--user | --prefix FOLDER]: tells Jupyter of the kernel; otherwise runs it."""
import argparse
import json
import pathlib
import sys
import tempfile


def install(arguments):
    from jupyter_client.kernelspec import KernelSpecManager
    parser = argparse.ArgumentParser(prog="python -m tensorlogic_kernel install")
    parser.add_argument("--user", action="store_true", help="for this user only")
    parser.add_argument("--prefix", help="for the Python environment in this folder")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        spec = {"argv": [sys.executable, "-m", "tensorlogic_kernel", "-f", "{connection_file}"],
                "display_name": "TensorLogic", "language": "tensorlogic", "interrupt_mode": "signal"}
        (pathlib.Path(folder) / "kernel.json").write_text(json.dumps(spec))
        print(KernelSpecManager().install_kernel_spec(folder, "tensorlogic", user=args.user, prefix=args.prefix))


if __name__ == "__main__":
    if sys.argv[1:2] == ["install"]:
        install(sys.argv[2:])
    else:
        from ipykernel.kernelapp import IPKernelApp

        from .kernel import TensorLogicKernel
        IPKernelApp.launch_instance(kernel_class=TensorLogicKernel)
