/* SPDX-License-Identifier: MIT */
/* Made by novacore_add_plugin from old-profile.conf. Do not edit. */
#include <novacore/sdk.h>

static const struct nova_profile profile = {
        .struct_size = sizeof(struct nova_profile),
        .settings =
        "# SPDX-License-Identifier: MIT\n"
        "# A shared runner of a build farm: short-lived small VMs, four at a time, and no more than its share\n"
        "\n"
        "run = {\n"
        "\tsuite = [\"lifecycle\"];\n"
        "\tsamples = 20;         /* fresh VMs per metric */\n"
        "\tbudget = \"5min\";      /* what does not fit lowers samples, and says so */\n"
        "\tshape = \"job\";\n"
        "};\n"
        "\n"
        "/* a VM for one job */\n"
        "vm = {\n"
        "\tjob = {\n"
        "\t\tvcpus = 1;\n"
        "\t\tmemory = \"256MiB\";\n"
        "\t};\n"
        "};\n"
        "\n"
        "/* one after another, then four together */\n"
        "benchmark = {\n"
        "\tlifecycle = {\n"
        "\t\tconcurrency = [1, 4];\n"
        "\t};\n"
        "};\n"
        "\n"
        "/* others work on this machine, too */\n"
        "limits = {\n"
        "\tmax_vms = 4;\n"
        "\tmemory_share = 0.5; /* of what is free */\n"
        "};\n"
        "\n"
        "/* what is good enough: a job's VM takes commands before anybody goes for coffee */\n"
        "goals = (\n"
        "\t{\n"
        "\t\tmetric = \"lifecycle.start.ready\";\n"
        "\t\tpass = \"20s\";\n"
        "\t\tacceptable = \"60s\";\n"
        "\t},\n"
        "\t{\n"
        "\t\tmetric = \"lifecycle.delete.api\";\n"
        "\t\tpass = \"2s\";\n"
        "\t}\n"
        ");\n"
        "",
};

static const struct nova_plugin plugin = {
        .struct_size = sizeof(struct nova_plugin),
        .kind = NOVA_KIND_PROFILE,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "old-profile",
        .version = "0.1",
        .summary = "A shared runner of a build farm: short-lived small VMs, four at a time, and no more than its share",
        .license = "MIT",
        .ops = &profile,
};

NOVA_PLUGIN(NOVA_KIND_PROFILE, plugin)
