//! What takes longer: `make test-agents ALL=1`.

use crate::for_each_agent;
use crate::kit::Kit;
use crate::messages::send_whole;
use crate::world::World;

for_each_agent!(a_megabyte_is_one_message);

fn a_megabyte_is_one_message(kit: Kit) {
    let world = World::new(kit, "message of 1 MB");
    send_whole(&world, 1_000_000);
}
