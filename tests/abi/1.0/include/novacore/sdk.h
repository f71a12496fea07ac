/* SPDX-License-Identifier: MIT */
/* All stable headers of the SDK. Errors are explained once, in types.h. */
#ifndef NOVACORE_SDK_H
#define NOVACORE_SDK_H

#include <novacore/abi.h>
#include <novacore/benchmark.h>
#include <novacore/host.h>
#include <novacore/hypervisor.h>
#include <novacore/optimizer.h>
#include <novacore/plugin.h>
#include <novacore/profile.h>
#include <novacore/types.h>

#endif
