/** Our plug-in on every host of the pool (src/sm/plugin), below /etc/xapi.d/plugins. */
export const PLUGIN = 'rbdsr';
