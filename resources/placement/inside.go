package placement

import (
	"fmt"

	"grenade/resources"
)

// database is the name that DevStack, and this project's own tree, give it.
const database = "placement"

// inside looks at placement without placement.
type inside struct {
	*resources.Inside
	memory *resources.Memory
}

func (c *check) inside() (*inside, error) {
	view, err := c.cloud.Inside()
	if err != nil {
		return nil, err
	}
	return &inside{Inside: view, memory: c.memory}, nil
}

// objects lists the rows that are compared while the API is down. The writer is
// left out: verify writes to it.
func (i *inside) objects() ([]resources.Object, error) {
	id := map[string]string{}
	for _, key := range []string{keyRoot, keyChild, keyConsumer, keyClass, keyTrait} {
		value, err := i.memory.Get(key)
		if err != nil {
			return nil, err
		}
		if id[key], err = resources.Quote(value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	// Columns are named one by one: a new release may add columns. Resource
	// classes and traits are joined by id, so that a row that now means another
	// class is seen; standard classes may be renumbered only together with it.
	providers := fmt.Sprintf("p.uuid IN (%s, %s)", id[keyRoot], id[keyChild])
	objects := []resources.Object{}
	for _, query := range []struct{ name, sql string }{
		{"rows_provider", "SELECT p.uuid, p.name, p.generation, r.uuid, q.uuid FROM resource_providers p LEFT JOIN resource_providers r ON r.id = p.root_provider_id LEFT JOIN resource_providers q ON q.id = p.parent_provider_id WHERE " + providers + " ORDER BY p.uuid"},
		{"rows_inventory", "SELECT p.uuid, c.name, i.total, i.reserved, i.min_unit, i.max_unit, i.step_size, i.allocation_ratio FROM inventories i JOIN resource_providers p ON p.id = i.resource_provider_id JOIN resource_classes c ON c.id = i.resource_class_id WHERE " + providers + " ORDER BY 1, 2"},
		{"rows_trait", "SELECT p.uuid, t.name FROM resource_provider_traits x JOIN resource_providers p ON p.id = x.resource_provider_id JOIN traits t ON t.id = x.trait_id WHERE " + providers + " ORDER BY 1, 2"},
		{"rows_aggregate", "SELECT p.uuid, a.uuid FROM resource_provider_aggregates x JOIN resource_providers p ON p.id = x.resource_provider_id JOIN placement_aggregates a ON a.id = x.aggregate_id WHERE " + providers + " ORDER BY 1, 2"},
		{"rows_allocation", "SELECT a.consumer_id, p.uuid, c.name, a.used FROM allocations a JOIN resource_providers p ON p.id = a.resource_provider_id JOIN resource_classes c ON c.id = a.resource_class_id WHERE " + providers + " OR a.consumer_id = " + id[keyConsumer] + " ORDER BY 1, 2, 3"},
		{"rows_consumer", "SELECT c.uuid, c.generation, u.external_id, p.external_id, t.name FROM consumers c JOIN users u ON u.id = c.user_id JOIN projects p ON p.id = c.project_id LEFT JOIN consumer_types t ON t.id = c.consumer_type_id WHERE c.uuid = " + id[keyConsumer]},
		{"rows_custom", "SELECT name FROM resource_classes WHERE name = " + id[keyClass] + " UNION ALL SELECT name FROM traits WHERE name = " + id[keyTrait]},
	} {
		objects = append(objects, i.RowsObject(query.name, database, query.sql))
	}
	return objects, nil
}
