/* SPDX-License-Identifier: @LICENSE@ */
/* What novacore is given as this profile. Whether it understands every key, it says itself:
 * novacore profile show @NAME@ */
#include <novacore/testhost.h>

#include <string.h>

#define EXPECT NOVA_TESTHOST_EXPECT

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

int main(void)
{
	const struct nova_plugin *plugin = nova_plugin_entry_v1(nova_testhost_table());
	const struct nova_profile *profile = plugin->ops;

	EXPECT(plugin->kind == NOVA_KIND_PROFILE);
	EXPECT(!strcmp(plugin->name, "@NAME@"));
	/* the settings, whole and as they were written */
	EXPECT(strstr(profile->settings, "suite = [\"lifecycle\"];"));
	EXPECT(strstr(profile->settings, "pass = \"20s\";"));
	EXPECT(!strcmp(profile->settings + strlen(profile->settings) - 3, ");\n"));
	return 0;
}
